import { labelsIn } from "../../data/examples/class_counts.ts";
import { measureSkew, type Partition, type PartitionSkew } from "../../data/mod.ts";
import type { TaskKind } from "../../tasks/mod.ts";
import { type LabelNoun, labelNoun } from "../data/check_labels.ts";
import type { Example } from "../data/load_data.ts";

/** What one client holds. */
export interface ClientSummary {
  /** Its number, from 0. */
  readonly client: number;
  /** The key that all its examples share, where no other client has it. */
  readonly key?: string;
  /** How many examples it holds. */
  readonly size: number;
  /** How often it has each class, label or tag, in their order; empty for tasks without. */
  readonly counts: readonly number[];
}

/** Who holds what. */
export interface PartitionSummary {
  /** What counts are of, such as classes or tags; undefined for tasks without. */
  readonly noun: LabelNoun | undefined;
  /** Their names; empty for tasks without. */
  readonly classes: readonly string[];
  readonly clients: readonly ClientSummary[];
  readonly numExamples: number;
  /** Examples that no client holds. */
  readonly numLeftOut: number;
  readonly skew: PartitionSkew;
}

/**
 * Counts what each client holds, and measures how uneven that is.
 *
 * @param options.labels names of the task's outputs, which count where they are classes, labels or tags.
 */
export function summarizePartition(
  examples: readonly Example[],
  { clients, leftOut }: Partition,
  { kind, labels }: { readonly kind: TaskKind; readonly labels: readonly string[] },
): PartitionSummary {
  const noun = labelNoun[kind];
  const classes = noun === undefined ? [] : labels;
  const places = new Map(classes.map((name, c) => [name, c]));
  const keys = ownKeys(examples, clients);
  const summaries = clients.map((indices, client) => {
    const counts = new Array<number>(classes.length).fill(0);
    for (const i of indices) {
      for (const label of labelsIn(examples[i]!)) {
        const c = places.get(label);
        if (c !== undefined) counts[c]!++;
      }
    }
    const key = keys[client];
    return { client, ...(key !== undefined && { key }), size: indices.length, counts };
  });
  const sizes = summaries.map(({ size }) => size);
  return {
    noun,
    classes,
    clients: summaries,
    numExamples: examples.length,
    numLeftOut: leftOut.length,
    skew: measureSkew(sizes, classes.length > 0 ? summaries.map(({ counts }) => counts) : undefined),
  };
}

/** The key that all examples of a client share, if it is a different one for each client. */
function ownKeys(
  examples: readonly Example[],
  clients: readonly (readonly number[])[],
): readonly (string | undefined)[] {
  const keys = clients.map(([first, ...others]) => {
    const { key } = examples[first!]!;
    return others.every((i) => examples[i]!.key === key) ? key : undefined;
  });
  return new Set(keys).size === clients.length && !keys.includes(undefined) ? keys : [];
}
