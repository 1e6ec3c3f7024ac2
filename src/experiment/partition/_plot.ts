import { escapeXml, svgElement } from "../report/svg/element.ts";
import { cut } from "../text/cut.ts";
import type { ClientSummary } from "./summarize_partition.ts";

/** Sizes of a drawing, in pixels. */
export const layout = {
  margin: 16,
  titleSize: 15,
  fontSize: 11,
  lineHeight: 16,
  plotWidth: 800,
  /** For the lines of text. */
  leastWidth: 560,
} as const;

/** The part of a drawing below its title. */
export interface Plot {
  readonly width: number;
  readonly height: number;
  readonly elements: readonly string[];
  /** What isn't drawn. */
  readonly notes: readonly string[];
}

/** A label beside something drawn, cut where it is long. */
export function label(
  text: string,
  x: number,
  y: number,
  anchor: "start" | "middle" | "end" = "start",
): string {
  return svgElement("text", { x, y, "text-anchor": anchor }, escapeXml(cut(text, 28)));
}

/** A thin line. */
export function rule(x1: number, y1: number, x2: number, y2: number): string {
  return svgElement("line", { x1, y1, x2, y2, stroke: "#dddddd" });
}

/** At most `most` of the clients at even distances, the first and the last among them, and a note if that isn't all. */
export function chooseClients(
  clients: readonly ClientSummary[],
  most: number,
): { readonly shown: readonly ClientSummary[]; readonly notes: readonly string[] } {
  if (clients.length <= most) return { shown: clients, notes: [] };
  const step = (clients.length - 1) / (most - 1);
  return {
    shown: Array.from({ length: most }, (_, i) => clients[Math.round(i * step)]!),
    notes: [`${most} of ${clients.length.toLocaleString("en")} clients are drawn, at even distances`],
  };
}

/** Numbers of clients below their places, as many as there is room for, and what they are. */
export function clientAxis(shown: readonly ClientSummary[], { left, step, y }: {
  readonly left: number;
  readonly step: number;
  readonly y: number;
}): string[] {
  const every = Math.ceil(40 / step);
  return [
    ...shown.flatMap(({ client }, i) =>
      i % every === 0 ? [label(String(client), left + (i + 0.5) * step, y + 14, "middle")] : []
    ),
    label("client", left + shown.length * step / 2, y + 32, "middle"),
  ];
}
