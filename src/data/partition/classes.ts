import { sortLabels } from "../examples/label_order.ts";
import type { PartitionInput } from "./partitioner.ts";

type Label = number | string;

/** The indices of the examples of each class, in the order in which classes first occur. */
export function groupByLabel(labels: ArrayLike<Label>): Map<Label, number[]> {
  const classes = new Map<Label, number[]>();
  for (let i = 0; i < labels.length; i++) {
    const members = classes.get(labels[i]!);
    if (members) members.push(i);
    else classes.set(labels[i]!, [i]);
  }
  return classes;
}

/**
 * The indices of the examples of each class that occurs, class by class in their order: that of `classes`, or else numbers by value
 * and then names by code units.
 *
 * @throws {RangeError} if a label isn't among `classes`.
 *
 * @example
 * ```ts no-run
 * orderedClasses({ labels: ["b", "a", "b"] }); // [[1], [0, 2]]
 * ```
 */
export function orderedClasses(
  { labels, classes }: Required<Pick<PartitionInput, "labels">> & PartitionInput,
): number[][] {
  const groups = groupByLabel(labels);
  if (classes === undefined) return inOrder([...groups.keys()]).map((label) => groups.get(label)!);
  const known = new Set(classes);
  for (const label of groups.keys()) {
    if (!known.has(label)) {
      throw new RangeError(
        `Cannot partition: expected each label to be one of the ${classes.length} classes, got ${
          JSON.stringify(label)
        }`,
      );
    }
  }
  return classes.flatMap((label) => groups.has(label) ? [groups.get(label)!] : []);
}

function inOrder(labels: readonly Label[]): Label[] {
  const numbers = labels.filter((label) => typeof label === "number").sort((a, b) => a - b);
  return [...numbers, ...sortLabels(labels.filter((label) => typeof label === "string"))];
}
