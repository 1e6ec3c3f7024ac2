import type { Tensor } from "../engine/mod.ts";
import type { Inputs, Tokenizer } from "../models/mod.ts";
import type { OutputReader } from "./output_reader.ts";
import type { TaskSet } from "./task_set.ts";

/** Options of {@linkcode Task.prepare}. */
export interface PrepareOptions {
  /** Tokens of a row, special ones included; longer texts are cut, or seen through windows where the task has them. */
  readonly maxLength: number;
  /**
   * What to do about a question that leaves no room for its context: `"refuse"` it, or `"skip"` it, so that it has no rows and
   * gets no answer. `"refuse"` by default.
   */
  readonly longQuestions?: "refuse" | "skip" | undefined;
}

/** Rows of a set on the GPU: what a model reads, and what it should answer. */
export interface RowTensors {
  readonly inputs: Inputs;
  /** [..., targetsPerRow]: i32 classes, or f32 numbers. */
  readonly targets: Tensor;
}

/** Scores by name, such as `accuracy`. */
export type Scores = Readonly<Record<string, number>>;

/**
 * What a model is to learn: how examples become rows of tokens and targets, how outputs are held against targets, and
 * what outputs mean. It holds no tensors; the model's {@linkcode Head} does.
 */
export interface Task<Example = unknown, Prediction = unknown, Set extends TaskSet = TaskSet> {
  /** Names the family of tasks, in configurations and files. */
  readonly kind: string;
  /** Names of the outputs, in their order: classes, tags, or what an output stands for. */
  readonly labels: readonly string[];
  /** Whether every token has outputs of its own, [..., T, K], or a text has, [..., K]; K is the number of labels. */
  readonly perToken: boolean;
  /** Names of the scores; of the first, which settings are chosen by, higher is better. */
  readonly metrics: readonly string[];
  /** Of these, the ones of which lower is better; none by default. */
  readonly lowerIsBetter?: readonly string[];
  /**
   * An example whose answer isn't known, for predictions: a text, or a pair of texts; a question and its context.
   *
   * @throws {TypeError} when the task needs two texts and has one.
   */
  ask(text: string, textPair?: string): Example;
  /**
   * Tokens and targets of examples.
   *
   * @throws {RangeError} naming the example that doesn't fit the task, as one of a class that isn't among `labels`.
   */
  prepare(examples: readonly Example[], tokenizer: Tokenizer, options: PrepareOptions): Set;
  /**
   * The loss of each target, [..., targetsPerRow] in nats or squares, 0 where it doesn't count. A batch's loss is the mean
   * over those that count.
   *
   * @param outputs [..., K] or [..., T, K].
   */
  losses(outputs: Tensor, rows: RowTensors): Tensor;
  /** Reads what outputs say of each example, in the order of examples. */
  predictor(set: Set): OutputReader<Prediction[]>;
  /**
   * Reads how good predictions are; the keys are of `metrics`. A score of some of the examples is left out where there are none
   * of those. It throws a `RangeError` on an empty set, when it finishes.
   */
  scorer(set: Set): OutputReader<Scores>;
}
