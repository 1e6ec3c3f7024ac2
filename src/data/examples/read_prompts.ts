import { CorruptFileError } from "../errors.ts";
import { notePlace } from "./example_place.ts";
import type { QuestionExample, TaggedExample, TextExample } from "./examples.ts";
import { toAsked } from "./_question.ts";
import type { ExampleKind, ExampleKinds } from "./read_examples.ts";
import { RowReader } from "./_row_reader.ts";
import { readRows, type ReadRowsOptions } from "../rows/read_rows.ts";
import { noteUnusedPair, textColumns, textsOf } from "./_texts.ts";

/** The inputs of predictions, by kinds of tasks. */
export interface PromptKinds {
  "sequence-classification": Pick<TextExample, "text" | "textPair">;
  "multi-label-classification": Pick<TextExample, "text" | "textPair">;
  "regression": Pick<TextExample, "text" | "textPair">;
  "token-classification": Pick<TaggedExample, "tokens">;
  "question-answering": Pick<QuestionExample, "id" | "question" | "context">;
}

/** Options of {@linkcode readPrompts}. */
export interface ReadPromptsOptions<Kind extends ExampleKind> extends Omit<ReadRowsOptions, "columns"> {
  /** Which columns make an example; those of labels are ignored. */
  readonly columns?: ExampleKinds[Kind]["columns"];
}

interface Converter<Kind extends ExampleKind> {
  /** Whether an example is of a text, or of a pair of them. */
  readonly hasTexts?: true;
  columnsOf(columns: ExampleKinds[Kind]["columns"]): readonly (string | undefined)[];
  convert(row: RowReader, columns: ExampleKinds[Kind]["columns"]): PromptKinds[Kind];
}

const texts = { hasTexts: true, columnsOf: textColumns, convert: textsOf } as const;

const converters: { readonly [Kind in ExampleKind]: Converter<Kind> } = {
  "sequence-classification": texts,
  "multi-label-classification": texts,
  "regression": texts,
  "token-classification": {
    columnsOf: ({ tokensColumn = "tokens" }) => [tokensColumn],
    convert: (row, { tokensColumn = "tokens", separator }) => ({
      tokens: row.names(tokensColumn, { separator }),
    }),
  },
  "question-answering": {
    columnsOf: ({ idColumn = "id", questionColumn = "question", contextColumn = "context" }) => [
      idColumn,
      questionColumn,
      contextColumn,
    ],
    convert: toAsked,
  },
};

/**
 * Reads the inputs of predictions from data files (Node only), as `readExamples` does, but without labels, which may be missing:
 * one per row, in the order of the rows.
 *
 * @throws {CorruptFileError} naming file, row and column, the expected and the actual value; or if there are no rows.
 * @throws as `readRows`.
 *
 * @example
 * ```ts no-run
 * const texts = await readPrompts("unlabelled.csv", "sequence-classification");
 * ```
 */
export async function readPrompts<Kind extends ExampleKind>(
  paths: string | readonly string[],
  kind: Kind,
  options: ReadPromptsOptions<Kind> = {},
): Promise<PromptKinds[Kind][]> {
  const { columns = {} as ExampleKinds[Kind]["columns"], ...rest } = options;
  const { columnsOf, convert, hasTexts } = converters[kind] as Converter<Kind>;
  const wanted = columnsOf(columns).filter((name) => name !== undefined);
  const set = await readRows(paths, { ...rest, columns: wanted });
  if (set.rows.length === 0) {
    throw new CorruptFileError(`Cannot read texts: ${[paths].flat().join(", ")} holds none`);
  }
  if (hasTexts) noteUnusedPair(set, columns, rest.onNotice);
  return set.rows.map((_, i) => {
    const prompt = convert(new RowReader(set, i), columns);
    notePlace(prompt, () => set.place(i));
    return prompt;
  });
}
