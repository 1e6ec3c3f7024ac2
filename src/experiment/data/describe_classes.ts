import { type ClassCount, countClasses, similarLabels } from "../../data/mod.ts";
import type { TaskKind } from "../../tasks/mod.ts";
import { labelNoun } from "./check_labels.ts";
import type { Example } from "./load_data.ts";
import { ConfigError } from "../config/parse_config.ts";
import { listWithin } from "../text/list_within.ts";

/** Options of {@linkcode describeClasses}. */
export interface DescribeClassesOptions {
  readonly kind: TaskKind;
  /** Names of the outputs. */
  readonly labels: readonly string[];
  /** All examples, of every part. */
  readonly all: readonly Example[];
}

/**
 * Lines that say how often each class, label or tag occurs in the training examples, most frequent first, which ones occur
 * once or never, and which ones may be spellings of one label. Empty for tasks without classes.
 *
 * @throws {ConfigError} when all examples are of one class.
 */
export function describeClasses(
  train: readonly Example[],
  { kind, labels, all }: DescribeClassesOptions,
): string[] {
  const noun = labelNoun[kind];
  if (noun === undefined) return [];
  const counts = countClasses(train, labels).toSorted((a, b) => b.count - a.count);
  const occurring = counts.filter(({ count }) => count > 0);
  if (occurring.length === 0) {
    throw new ConfigError(
      `Cannot train: none of the ${train.length} training examples has a ${noun.one}`,
    );
  }
  if (occurring.length === 1 && kind !== "multi-label-classification") {
    throw new ConfigError(
      `Cannot train: all ${train.length} training examples have the ${noun.one} ${
        JSON.stringify(occurring[0]!.label)
      }; expected at least two ${noun.many}`,
    );
  }
  const single = counts.filter(({ count }) => count === 1);
  const missing = counts.filter(({ count }) => count === 0);
  const title = `${noun.many[0]!.toUpperCase()}${noun.many.slice(1)}`;
  return [
    listWithin(occurring.map(named), { before: `${title} to train on: ` }),
    ...(single.length > 0 ? [list(single, `  only one example of: `)] : []),
    ...(missing.length > 0 ? [list(missing, `  no example of: `)] : []),
    ...similarLines(countClasses(all), noun.one),
  ];
}

/** Pairs that are shown. */
const SHOWN_PAIRS = 5;

function similarLines(counts: readonly ClassCount[], noun: string): string[] {
  const pairs = similarLabels(counts);
  const lines = pairs.slice(0, SHOWN_PAIRS).map(({ rarer, commoner }) =>
    `  possibly one ${noun}: ${quoted(rarer)} and ${quoted(commoner)}`
  );
  return pairs.length > SHOWN_PAIRS
    ? [...lines, `  and ${pairs.length - SHOWN_PAIRS} more pairs like these`]
    : lines;
}

function list(counts: readonly ClassCount[], before: string): string {
  return listWithin(counts.map(({ label }) => JSON.stringify(label)), { before });
}

function named({ label, count }: ClassCount): string {
  return `${label}: ${count.toLocaleString("en")}`;
}

function quoted({ label, count }: ClassCount): string {
  return `${JSON.stringify(label)} (${count.toLocaleString("en")})`;
}
