import { svgElement } from "../report/svg/element.ts";
import { palette, restColor } from "../report/svg/palette.ts";
import { roundTicks } from "../report/svg/ticks.ts";
import { chooseClients, clientAxis, label, layout, type Plot, rule } from "./_plot.ts";
import type { PartitionSummary } from "./summarize_partition.ts";

const HEIGHT = 320;
const LEFT = 64;
const LEGEND = 220;

/** A bar for each client, as high as its examples are many, in parts for its classes. */
export function barPlot({ clients, classes, noun }: PartitionSummary): Plot {
  const { shown, notes } = chooseClients(clients, layout.plotWidth / 2);
  const step = Math.min(60, layout.plotWidth / shown.length);
  const series = seriesOf(classes, clients.map(({ counts }) => counts), noun?.many);
  const bars = shown.map(({ size, counts }) =>
    classes.length === 0
      ? [size]
      : series.map(({ members }) => members.reduce((sum, c) => sum + counts[c]!, 0))
  );
  const largest = bars.reduce((most, bar) => Math.max(most, sumOf(bar)), 1);
  const y = (count: number) => HEIGHT - count / largest * HEIGHT;
  const right = LEFT + shown.length * step;
  const elements = [
    // An example may have several labels or tags.
    label(noun === undefined || noun.one === "class" ? "examples" : noun.many, LEFT - 6, -8, "end"),
    ...roundTicks(largest, 6).flatMap((tick) => [
      rule(LEFT, y(tick), right, y(tick)),
      label(tick.toLocaleString("en"), LEFT - 6, y(tick) + 4, "end"),
    ]),
    ...bars.flatMap((bar, i) => {
      let below = 0;
      return bar.flatMap((count, s) => {
        const from = below;
        below += count;
        if (count === 0) return [];
        return svgElement("rect", {
          x: LEFT + (i + (step > 4 ? 0.1 : 0)) * step,
          y: y(below),
          width: step * (step > 4 ? 0.8 : 1),
          height: y(from) - y(below),
          fill: series[s]?.color ?? palette[0],
        });
      });
    }),
    ...clientAxis(shown, { left: LEFT, step, y: HEIGHT }),
    ...series.flatMap(({ name, color }, s) => [
      svgElement("rect", { x: right + 20, y: s * layout.lineHeight, width: 11, height: 11, fill: color }),
      label(name, right + 37, s * layout.lineHeight + 10),
    ]),
  ];
  const height = Math.max(HEIGHT + 40, series.length * layout.lineHeight) + layout.margin;
  return { width: right + (series.length > 0 ? LEGEND : layout.margin), height, elements, notes };
}

/** Classes that get a colour each, and the rest together. */
function seriesOf(
  classes: readonly string[],
  counts: readonly (readonly number[])[],
  noun = "classes",
): { readonly name: string; readonly color: string; readonly members: readonly number[] }[] {
  const totals = classes.map((_, c) => sumOf(counts.map((row) => row[c]!)));
  const few = classes.length <= palette.length;
  const byTotal = [...classes.keys()].sort((a, b) => totals[b]! - totals[a]! || a - b);
  const own = new Set(few ? byTotal : byTotal.slice(0, palette.length - 1));
  const named = classes.flatMap((name, c) => own.has(c) ? [{ name, members: [c] }] : [])
    .map((each, i) => ({ ...each, color: palette[i]! }));
  const rest = byTotal.filter((c) => !own.has(c));
  if (rest.length === 0) return named;
  return [...named, { name: `${rest.length} other ${noun}`, color: restColor, members: rest }];
}

function sumOf(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
