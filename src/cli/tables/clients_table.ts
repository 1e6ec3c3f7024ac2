import { scoreTitle } from "../../experiment/text/score_title.ts";
import { formatTable } from "./table.ts";

/** One score of one method over clients. */
export interface ClientsRow {
  readonly label: string;
  readonly score: string;
  /** Of the clients' own scores: their mean, the mean of the worst tenth, and their standard deviation. */
  readonly mean: string;
  readonly worstDecile: string;
  readonly deviation: string;
}

/** The table of scores over clients; none where there are none. */
export function clientsTable(rows: readonly ClientsRow[]): string[] {
  if (rows.length === 0) return [];
  return [formatTable(rows, [
    { title: "over clients", cell: ({ label }) => label },
    { title: "score", cell: ({ score }) => scoreTitle(score) },
    { title: "mean", cell: ({ mean }) => mean, align: "right" },
    { title: "worst decile", cell: ({ worstDecile }) => worstDecile, align: "right" },
    { title: "sd", cell: ({ deviation }) => deviation, align: "right" },
  ])];
}
