import { escapeXml, svgElement } from "../report/svg/element.ts";
import { palette } from "../report/svg/palette.ts";
import { scoreTitle } from "../text/score_title.ts";
import { cut } from "../text/cut.ts";
import type { ComparisonSummary } from "./summarize_comparison.ts";

const size = { margin: 16, fontSize: 11, line: 18, names: 130, panel: 210, gap: 24, top: 40 } as const;

/**
 * Draws the scores of a comparison as SVG: a panel for each setting, in it a line for each method, on that a dot for each run and a bar
 * at their mean. All panels have one scale.
 */
export function scoresChart({ name, metric, settings }: ComparisonSummary): string {
  const labels = [...new Set(settings.flatMap(({ methods }) => methods.map(({ label }) => label)))];
  const all = settings.flatMap(({ methods }) => methods.flatMap(({ scores }) => scores));
  const scale = scaleOf(all);
  const bottom = size.top + labels.length * size.line;
  const width = 2 * size.margin + size.names + settings.length * (size.panel + size.gap) - size.gap;
  const height = bottom + 48;
  const rowOf = (label: string) => size.top + (labels.indexOf(label) + 0.5) * size.line;
  const names = labels.map((label) =>
    text(cut(label, 22), size.margin + size.names - 10, rowOf(label) + 4, "end")
  );
  const panels = settings.flatMap(({ label, methods }, panel) => {
    const left = size.margin + size.names + panel * (size.panel + size.gap);
    const x = (score: number) => left + size.panel * (score - scale.low) / (scale.high - scale.low);
    return [
      text(label, left, size.top - 12, "start", "bold"),
      ...scale.ticks.flatMap((tick) => [
        svgElement("line", { x1: x(tick), x2: x(tick), y1: size.top, y2: bottom, stroke: "#dddddd" }),
        text(String(tick), x(tick), bottom + 14, "middle"),
      ]),
      ...methods.flatMap(({ label, scores, score, isPersonal }) => [
        ...scores.map((value) =>
          svgElement("circle", {
            cx: x(value),
            cy: rowOf(label),
            r: 3,
            stroke: palette[0],
            "stroke-opacity": 0.45,
            fill: palette[0],
            "fill-opacity": isPersonal ? 0 : 0.45,
          })
        ),
        ...score === null ? [] : [svgElement("rect", {
          x: x(score.mean) - 1.5,
          y: rowOf(label) - 7,
          width: 3,
          height: 14,
          fill: palette[1],
        })],
      ]),
    ];
  });
  const legend = `${
    scoreTitle(metric)
  } after the last round: a dot for each draw and seed (a ring: over clients' own models), a bar at the mean`;
  return svgElement("svg", {
    xmlns: "http://www.w3.org/2000/svg",
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    "font-family": "sans-serif",
    "font-size": size.fontSize,
    role: "img",
  }, [
    svgElement("title", {}, escapeXml(`Scores of the comparison ${name}`)),
    svgElement("rect", { width, height, fill: "#ffffff" }),
    ...names,
    ...panels,
    text(legend, size.margin + size.names, bottom + 36, "start"),
  ]) + "\n";
}

function text(content: string, x: number, y: number, anchor: string, weight?: string): string {
  return svgElement(
    "text",
    { x, y, "text-anchor": anchor, "font-weight": weight, fill: "#222222" },
    escapeXml(content),
  );
}

/** Round ends and ticks around scores, 0.05 to 0.5 apart. */
function scaleOf(scores: readonly number[]): { low: number; high: number; ticks: number[] } {
  const [least, most] = [Math.min(0.9, ...scores), Math.max(1, ...scores)];
  const step = [0.05, 0.1, 0.2, 0.5].find((each) => (most - least) / each <= 6) ?? 0.5;
  const [first, last] = [Math.floor(least / step + 1e-9), Math.ceil(most / step - 1e-9)];
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toFixed(2)));
  return { low: ticks[0]!, high: ticks.at(-1)!, ticks };
}
