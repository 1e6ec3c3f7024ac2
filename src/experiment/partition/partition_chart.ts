import { cut } from "../text/cut.ts";
import { escapeXml, svgElement } from "../report/svg/element.ts";
import { describeSkew } from "./describe_skew.ts";
import { bubblePlot } from "./_bubble_plot.ts";
import { barPlot } from "./_bar_plot.ts";
import { layout, type Plot } from "./_plot.ts";
import type { PartitionSummary } from "./summarize_partition.ts";

/** How a partition is drawn: a stacked bar for each client, or a dot for each client and class whose area is the count. */
export type PartitionChartKind = "bars" | "bubbles";

/** Options of {@linkcode partitionChart}. */
export interface PartitionChartOptions {
  readonly title: string;
  /** Bars by default for up to 9 classes, or none; bubbles for more. */
  readonly kind?: PartitionChartKind | undefined;
}

/** The most classes that bars are drawn of by default: as many as have colours that are easy to distinguish. */
const FEW_CLASSES = 9;

/**
 * Draws who holds what as an SVG image. Of many clients an even choice is drawn, of many classes the most frequent, and a line
 * below the title says so.
 *
 * @throws {RangeError} when bubbles are asked for and there are no classes.
 */
export function partitionChart(summary: PartitionSummary, { title, kind }: PartitionChartOptions): string {
  const { classes } = summary;
  const chosen = kind ?? (classes.length > FEW_CLASSES ? "bubbles" : "bars");
  if (chosen === "bubbles" && classes.length === 0) {
    throw new RangeError("Cannot draw bubbles: expected a task with classes, got none; draw bars");
  }
  const plot = chosen === "bars" ? barPlot(summary) : bubblePlot(summary);
  return drawing(plot, [title, ...describeSkew(summary), ...plot.notes]);
}

/** The image: lines of text above a plot. */
function drawing({ width, height, elements }: Plot, [title = "", ...lines]: readonly string[]): string {
  const top = layout.margin + layout.titleSize + (lines.length + 1) * layout.lineHeight + layout.margin;
  const text = (line: string, y: number, size: number, weight?: string) =>
    svgElement(
      "text",
      { x: layout.margin, y, "font-size": size, "font-weight": weight },
      escapeXml(cut(line, 160)),
    );
  const size = { width: Math.max(width, layout.leastWidth), height: top + height };
  return `${
    svgElement("svg", {
      xmlns: "http://www.w3.org/2000/svg",
      ...size,
      viewBox: `0 0 ${size.width} ${size.height}`,
      "font-family": "system-ui, sans-serif",
      "font-size": layout.fontSize,
      fill: "#222222",
      role: "img",
    }, [
      svgElement("title", {}, escapeXml(title)),
      svgElement("rect", { ...size, fill: "#ffffff" }),
      text(title, layout.margin + layout.titleSize, layout.titleSize, "bold"),
      ...lines.map((line, i) =>
        text(line, layout.margin + layout.titleSize + (i + 1) * layout.lineHeight, layout.fontSize)
      ),
      svgElement("g", { transform: `translate(0 ${top})` }, elements),
    ])
  }\n`;
}
