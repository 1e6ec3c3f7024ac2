import { z } from "zod";
import type { ExampleKind, ExampleKinds } from "../../data/mod.ts";
import { describeChoice } from "./describe_choice.ts";

const column = z.string().min(1);
const columns = z.union([column, z.array(column).min(1)], "expected the name of a column, or a list of them");

/** The columns that an example is read from, by their role; the usual names by default. */
export const columnsConfig = z.strictObject({
  text: column.optional(),
  textPair: column.optional(),
  label: column.optional(),
  /** A column with a list of labels, or several columns, each saying whether the label it is named after applies. */
  labels: columns.optional(),
  /** A column with a number or a list of numbers, or several columns with a number each. */
  value: columns.optional(),
  tokens: column.optional(),
  tags: column.optional(),
  id: column.optional(),
  question: column.optional(),
  context: column.optional(),
  answers: column.optional(),
  /** The natural owner of each example, for the partition "by-key". */
  key: column.optional(),
  /** What stands between labels, words or tags in columns of text. */
  separator: z.string().min(1).optional(),
});

/** Columns by their role. */
export type ColumnsConfig = z.output<typeof columnsConfig>;

/** All roles. */
export const columnParts = Object.keys(columnsConfig.shape) as readonly (keyof ColumnsConfig)[];

type Columns<Kind extends ExampleKind> = ExampleKinds[Kind]["columns"];

/** The name of each role in the options of `readExamples`. */
const names: { readonly [Kind in ExampleKind]: Partial<Record<keyof ColumnsConfig, keyof Columns<Kind>>> } = {
  "sequence-classification": {
    text: "textColumn",
    textPair: "textPairColumn",
    label: "labelColumn",
    key: "keyColumn",
  },
  "multi-label-classification": {
    text: "textColumn",
    textPair: "textPairColumn",
    labels: "labelColumns",
    key: "keyColumn",
    separator: "separator",
  },
  "regression": {
    text: "textColumn",
    textPair: "textPairColumn",
    value: "valueColumn",
    key: "keyColumn",
  },
  "token-classification": {
    tokens: "tokensColumn",
    tags: "tagsColumn",
    key: "keyColumn",
    separator: "separator",
  },
  "question-answering": {
    id: "idColumn",
    question: "questionColumn",
    context: "contextColumn",
    answers: "answersColumn",
    key: "keyColumn",
  },
};

/** Names a role that examples of a kind don't have; undefined if they have all. */
export function columnProblem(kind: ExampleKind, columns: ColumnsConfig): string | undefined {
  const parts = Object.keys(names[kind]);
  const odd = Object.keys(columns).find((part) => !parts.includes(part));
  return odd === undefined ? undefined : `${odd} plays no part in ${kind}: ${describeChoice(parts, odd)}`;
}

/** Converts columns to the options of `readExamples`. */
export function exampleColumns<Kind extends ExampleKind>(kind: Kind, columns: ColumnsConfig): Columns<Kind> {
  const known: Partial<Record<keyof ColumnsConfig, unknown>> = names[kind];
  return Object.fromEntries(
    Object.entries(columns).map(([part, name]) => [known[part as keyof ColumnsConfig], name]),
  ) as Columns<Kind>;
}
