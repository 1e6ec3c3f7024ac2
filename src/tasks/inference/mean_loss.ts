import { countTargets, type TaskSet } from "../task_set.ts";

/** The mean loss of all targets of a set that count, from those of its rows, whatever the order that they come in. */
export class MeanLoss {
  readonly #set: TaskSet;
  readonly #sums: Float64Array;

  constructor(set: TaskSet) {
    this.#set = set;
    this.#sums = new Float64Array(set.size);
  }

  /** Adds the losses of a row's targets, 0 for those that don't count. */
  add(row: number, losses: Float32Array): void {
    this.#sums[row] = losses.reduce((total, value) => total + value, 0);
  }

  /**
   * The mean over the targets that count, in nats, or squares where numbers are predicted.
   *
   * @throws {RangeError} when none counts.
   */
  finish(): number {
    const { size } = this.#set;
    let counted = 0;
    for (let row = 0; row < size; row++) counted += countTargets(this.#set, row);
    if (counted === 0) {
      throw new RangeError(
        `Cannot evaluate ${size} rows: expected targets that count, got none; raise the maximum length if texts were cut`,
      );
    }
    return this.#sums.reduce((total, sum) => total + sum, 0) / counted;
  }
}
