import { cut } from "./cut.ts";

/** Options of {@linkcode listWithin}. */
export interface ListOptions {
  /** The text before the list. */
  readonly before: string;
  /** Characters of the line; 80 by default. */
  readonly width?: number;
}

/**
 * As many items as fit into a line, and how many more there are.
 *
 * @example
 * ```ts
 * listWithin(["ham 800", "spam 400"], { before: "Classes: " }); // "Classes: ham 800, spam 400"
 * listWithin(["ham 800", "spam 400", "x 3"], { before: "Classes: ", width: 30 }); // "Classes: ham 800 and 2 more"
 * ```
 */
export function listWithin(items: readonly string[], { before, width = 80 }: ListOptions): string {
  const line = (count: number) => {
    const more = items.length > count ? `${count > 0 ? " and " : ""}${items.length - count} more` : "";
    return `${before}${items.slice(0, count).join(", ")}${more}`;
  };
  let count = 0;
  while (count < items.length && line(count + 1).length <= width) count++;
  return cut(line(Math.max(count, Math.min(1, items.length))), width);
}
