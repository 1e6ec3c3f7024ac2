import { excerpt, excerptOfNames } from "../../data/text/excerpt.ts";

/**
 * Numbers the outputs of a head by their names.
 *
 * @throws {RangeError} with fewer than `least` labels.
 * @throws {TypeError} when a label is named twice.
 */
export function numberLabels(labels: readonly string[], least: number): ReadonlyMap<string, number> {
  if (labels.length < least) {
    throw new RangeError(`Cannot create a task with ${labels.length} labels: expected at least ${least}`);
  }
  const numbers = new Map(labels.map((label, i) => [label, i]));
  if (numbers.size !== labels.length) {
    const twice = labels.find((label, i) => numbers.get(label) !== i);
    throw new TypeError(`Cannot number labels: ${excerpt(twice)} is named twice`);
  }
  return numbers;
}

/**
 * The number of the label of an example.
 *
 * @param place of the example, for the message.
 * @throws {RangeError} naming the place, when it's none of the labels.
 */
export function labelNumber(
  numbers: ReadonlyMap<string, number>,
  label: string,
  place: () => string,
): number {
  const number = numbers.get(label);
  if (number === undefined) {
    throw new RangeError(
      `Cannot use ${place()}: its label ${excerpt(label)} is unknown to the head, which has ${
        excerptOfNames([...numbers.keys()])
      }`,
    );
  }
  return number;
}
