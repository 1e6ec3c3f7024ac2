const eighths = " ▁▂▃▄▅▆▇█";

/** Options of {@linkcode barPlot}. */
export interface BarPlotOptions {
  /** Lines of the bars; 8 by default. */
  readonly height?: number;
  /** Most bars; 64 by default. More values are thinned out evenly, the first and the last kept. */
  readonly width?: number;
}

/**
 * One line of block characters, each as high as its value is of the largest: a spectrum in a cell of a table.
 *
 * @example
 * ```ts
 * sparkline([8, 4, 1]); // "█▄▁"
 * ```
 */
export function sparkline(values: ArrayLike<number>, width = 24): string {
  const shown = thinOut(values, width);
  const largest = Math.max(...shown);
  return shown.map((value) => eighths[levelOf(value / largest, 8)]).join("");
}

/**
 * Bars of block characters above an axis with the number of the first and the last value, beside a scale from 0 to
 * the largest. Values are 0 or more.
 */
export function barPlot(values: ArrayLike<number>, options: BarPlotOptions = {}): string {
  const { height = 8, width = 64 } = options;
  if (values.length === 0) return "";
  const shown = thinOut(values, width);
  const largest = Math.max(...shown);
  const [top, zero] = [largest.toPrecision(3), "0"];
  const margin = Math.max(top.length, zero.length);
  const lines = Array.from({ length: height }, (_, line) => {
    const below = 8 * (height - 1 - line);
    const cells = shown.map((value) => {
      const level = levelOf(value / largest, 8 * height) - below;
      return eighths[Math.max(0, Math.min(8, level))];
    });
    const scale = line === 0 ? top : line === height - 1 ? zero : "";
    return `${scale.padStart(margin)} │${cells.join("")}`.trimEnd();
  });
  const [first, last] = ["1", String(values.length)];
  const gap = " ".repeat(Math.max(1, shown.length - first.length - last.length));
  const axis = values.length === 1 ? first : `${first}${gap}${last}`;
  return [
    ...lines,
    `${" ".repeat(margin)} └${"─".repeat(shown.length)}`,
    `${" ".repeat(margin)}  ${axis}`,
  ]
    .join("\n");
}

/** Eighths of a line; what isn't 0 shows. */
function levelOf(share: number, levels: number): number {
  if (!(share > 0)) return 0;
  return Math.max(1, Math.round(share * levels));
}

function thinOut(values: ArrayLike<number>, count: number): number[] {
  const { length } = values;
  if (length <= count) return Array.from(values);
  const step = (length - 1) / Math.max(1, count - 1);
  return Array.from({ length: count }, (_, i) => values[Math.round(i * step)]!);
}
