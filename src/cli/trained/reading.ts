import {
  type DataFormat,
  dataFormats,
  findFormat,
  type FormatOption,
  unusedOptions,
} from "../../data/mod.ts";
import { type Command, InvalidArgumentError, Option } from "commander";
import { columnParts, columnProblem, type ColumnsConfig } from "../../experiment/config/columns_config.ts";
import { readingConfig, type ReadingOptions } from "../../experiment/config/data_config.ts";
import { describeChoice } from "../../experiment/config/describe_choice.ts";
import { ConfigError, parseWith } from "../../experiment/config/parse_config.ts";
import { parseNames } from "../terminal/start.ts";
import type { TaskKind } from "../../tasks/mod.ts";
import type { ModelDescription } from "../../experiment/trained/model_folder.ts";

/** How the user says that a file is to be read. */
export interface ReadingFlags {
  readonly column?: ColumnsConfig;
  readonly format?: DataFormat;
  readonly quotes?: boolean;
  readonly delimiter?: string;
  readonly encoding?: string;
  readonly header?: string[];
  readonly missingLabels?: ReadingOptions["missingLabels"];
}

/** Adds the options of {@linkcode ReadingFlags}. */
export function addReadingOptions(command: Command): Command {
  return command
    .option(
      "--column <ROLE=NAME>",
      "the column of an example's text, label, …; may be repeated, also for value and labels",
      parseColumns,
    )
    .addOption(new Option("--format <FORMAT>", "of the file").choices(dataFormats))
    .option("--quotes", "quotation marks enclose values of CSV or TSV")
    .option("--no-quotes", "quotation marks are part of the values")
    .option("--delimiter <CHARACTER>", 'the character between values; "\\t" for a tab')
    .option("--encoding <NAME>", 'how text is encoded, such as "windows-1252"')
    .option("--header <NAMES>", "names of the columns, for a file without a header line", parseNames);
}

/**
 * Refuses options for reading a file if no file is read.
 *
 * @param texts whether texts are given as arguments; the standard input, too, has an encoding.
 * @throws {ConfigError} naming the option.
 */
export function checkReadingFlags(
  flags: ReadingFlags & { readonly file?: string | undefined },
  { texts }: { readonly texts: boolean },
): void {
  if (flags.file !== undefined) return;
  const odd =
    (["column", "format", "quotes", "delimiter", "header", ...texts ? ["encoding"] as const : []] as const)
      .find((name) => flags[name] !== undefined);
  if (odd === undefined) return;
  const option = odd === "quotes" && flags.quotes === false ? "no-quotes" : odd;
  throw new ConfigError(`Cannot use --${option} without --file: it says how a file is read`);
}

/**
 * How to read a file: as the user says, or else as the files that the model was trained on, as far as that applies to its format.
 *
 * @param flags the user's options, and the path of the file.
 * @throws {ConfigError} when a column plays no part in the model's task, or an option can't be used.
 */
export function readingOf(
  { reading, task, labels }: Pick<ModelDescription, "reading" | "task" | "labels">,
  { path, column = {}, format, quotes, delimiter, encoding, header, missingLabels }:
    & ReadingFlags
    & { readonly path: string },
): ReadingOptions {
  const problem = columnProblem(task.kind, column);
  if (problem !== undefined) throw new ConfigError(`Cannot use the columns: ${problem}`);
  // Groups matter only in training.
  const { key: _, ...columns } = reading?.columns ?? columnsOf(task.kind, labels);
  const actual = format ?? reading?.format ?? findFormat(path);
  const unused = actual === undefined ? [] : unusedOptions(actual);
  const recorded = Object.entries(reading ?? {}).filter(([name]) => !unused.includes(name as FormatOption));
  const wanted = {
    ...Object.fromEntries(recorded),
    ...(format !== undefined && { format }),
    ...(quotes !== undefined && { quotes }),
    ...(delimiter !== undefined && { delimiter: delimiter === "\\t" ? "\t" : delimiter }),
    ...(encoding !== undefined && { encoding }),
    ...(header !== undefined && { header }),
    ...(missingLabels !== undefined && { missingLabels }),
    columns: { ...columns, ...column },
  };
  return parseWith(readingConfig, wanted, "the options of the file");
}

/** By default, each of several numbers is in the column of its own name. */
function columnsOf(kind: TaskKind, labels: readonly string[]): ColumnsConfig {
  return kind === "regression" && labels.length > 1 ? { value: [...labels] } : {};
}

/** Adds a column given as `role=name`; roles that take several columns collect them. */
function parseColumns(text: string, columns: ColumnsConfig = {}): ColumnsConfig {
  const [part = "", name = ""] = text.split(/=(.*)/s);
  if (name === "") throw new InvalidArgumentError(`Expected PART=NAME, got ${text}`);
  if (part === "value" || part === "labels") {
    const given = columns[part];
    return { ...columns, [part]: given === undefined ? name : [given, name].flat() };
  }
  if (columnParts.includes(part as keyof ColumnsConfig)) return { ...columns, [part]: name };
  throw new InvalidArgumentError(`Cannot use the part: ${describeChoice(columnParts, part)}`);
}
