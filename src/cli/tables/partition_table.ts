import type { ClientSummary, PartitionSummary } from "../../experiment/partition/summarize_partition.ts";
import { type Column, formatTable } from "./table.ts";

/** Most clients that get a row. */
const MOST_ROWS = 40;
/** Most classes that get a column. */
const MOST_COLUMNS = 6;
/** The longest name that a column has. */
const LONGEST_TITLE = 12;

/**
 * A table of who holds what: a row for each client, with its examples, how many classes it has, and how often each, or, where these are
 * too many for columns, the most frequent. Of more than 40 clients the first are shown, and a line counts the rest.
 */
export function partitionTable({ clients, classes, noun }: PartitionSummary): string {
  const shown = clients.slice(0, MOST_ROWS);
  const hasKeys = shown.some(({ key }) => key !== undefined);
  const number = (title: string, value: (row: ClientSummary) => number): Column<ClientSummary> => ({
    title,
    cell: (row) => value(row).toLocaleString("en"),
    align: "right",
  });
  const inColumns = classes.length <= MOST_COLUMNS &&
    classes.every((name) => [...name].length <= LONGEST_TITLE);
  const columns: Column<ClientSummary>[] = [
    number("client", ({ client }) => client),
    ...hasKeys ? [{ title: "key", cell: ({ key }: ClientSummary) => key ?? "", wrap: true }] : [],
    number("examples", ({ size }) => size),
    ...noun === undefined ? [] : [
      number(noun.many, ({ counts }) => counts.filter((count) => count > 0).length),
      ...inColumns ? classes.map((name, c) => number(name, ({ counts }) => counts[c]!)) : [{
        title: "most frequent",
        cell: ({ counts }: ClientSummary) => mostFrequent(counts, classes),
        wrap: true,
      }],
    ],
  ];
  const rest = clients.length - shown.length;
  const table = formatTable(shown, columns);
  return rest === 0
    ? table
    : `${table}\nand ${rest.toLocaleString("en")} more clients; --json prints all of them`;
}

/** The three most frequent classes of a client, and how many others it has. */
function mostFrequent(counts: readonly number[], classes: readonly string[]): string {
  const held = [...counts.keys()].filter((c) => counts[c]! > 0).sort((a, b) =>
    counts[b]! - counts[a]! || a - b
  );
  const named = held.slice(0, 3).map((c) => `${classes[c]} ${counts[c]!.toLocaleString("en")}`).join(", ");
  return held.length > 3 ? `${named}, ${held.length - 3} more` : named;
}
