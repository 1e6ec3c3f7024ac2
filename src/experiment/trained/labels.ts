import { excerpt } from "../../data/text/excerpt.ts";
import { ConfigError } from "../config/parse_config.ts";

/** Options of {@linkcode checkOutputNames}. */
export interface CheckOutputNamesOptions {
  /** Which model, for messages. */
  readonly model: string;
  /** Kind of its task. */
  readonly task: string;
  /** Outputs of its head. */
  readonly numOutputs: number;
  /** Where the labels are from, for messages. */
  readonly from: string;
}

/**
 * Checks names for a model's outputs and returns them.
 *
 * @throws {ConfigError} when there aren't as many as outputs, two are alike, or the outputs of the task have names of their own.
 */
export function checkOutputNames(
  labels: readonly string[],
  { model, task, numOutputs, from }: CheckOutputNamesOptions,
): string[] {
  const refuse = (reason: string) => new ConfigError(`Cannot name the outputs of ${model}: ${reason}`);
  if (task === "question-answering" && from === "--labels") {
    throw refuse("question-answering always names them start and end; leave out --labels");
  }
  if (labels.length !== numOutputs) {
    throw refuse(`its head has ${numOutputs} outputs, and ${from} names ${labels.length}`);
  }
  const seen = new Set<string>();
  const twice = labels.find((label) => seen.size === seen.add(label).size);
  if (twice !== undefined) throw refuse(`${from} names ${excerpt(twice)} twice`);
  return [...labels];
}
