import { randomKey, RandomStream, sizeOf } from "../../engine/mod.ts";
import type { ColumnData, Columns } from "../../models/mod.ts";
import { mapColumns, zerosAs } from "../columns.ts";
import { countTargets, countTokens, type TaskSet } from "../task_set.ts";

/** How much a client trains each round: whole passes over its rows of tokens, or a number of steps. */
export type LocalWork = { readonly epochs: number } | { readonly steps: number };

/** Options of {@linkcode planBatches}. */
export interface BatchPlanOptions {
  readonly work: LocalWork;
  readonly batchSize: number;
  readonly seed: number;
  readonly round: number;
  readonly client: number;
}

/**
 * The examples of each local step of one client, shuffled anew each pass by (seed, round, client, pass): whoever trains
 * beside it changes nothing. The last batch of a pass may be short.
 */
export function planBatches(rows: readonly number[], options: BatchPlanOptions): number[][] {
  const { work, batchSize, seed, round, client } = options;
  const perPass = Math.ceil(rows.length / batchSize);
  const steps = "steps" in work ? work.steps : work.epochs * perPass;
  const batches: number[][] = [];
  for (let pass = 0; batches.length < steps; pass++) {
    const order = new RandomStream(randomKey(seed, "batches", round, client, pass)).shuffle([...rows]);
    for (let i = 0; i < perPass && batches.length < steps; i++) {
      batches.push(order.slice(i * batchSize, (i + 1) * batchSize));
    }
  }
  return batches;
}

/** The batches of a block's local steps on the host, ready for upload. */
export interface BlockBatches {
  readonly members: number;
  readonly steps: number;
  readonly batchSize: number;
  /** Tokens a row. */
  readonly length: number;
  readonly targetsPerRow: number;
  /** By name; the rows N of a column are [steps, members, batchSize]. */
  readonly inputs: Columns;
  /** [steps, members, batchSize, targetsPerRow]. */
  readonly targets: Int32Array | Float32Array;
  /**
   * [steps, members, batchSize, targetsPerRow]: 1/(targets of the batch that count), 0 where padded, so that a member's loss
   * is its mean; all 0 in a batch of which none counts.
   */
  readonly weights: Float32Array;
  /** [steps, members]: 1 while a member has work, then 0. */
  readonly active: Float32Array;
  /** Steps of each member. */
  readonly stepsOf: readonly number[];
  /** Tokens of each row, [steps][members][batchSize]; 0 where there is none. Undefined where inputs don't say. */
  readonly tokens: readonly (readonly (readonly number[])[])[] | undefined;
}

/** Lays the batches of several clients side by side, padded to the longest. */
export function packBatches(
  data: TaskSet,
  plans: readonly (readonly (readonly number[])[])[],
  batchSize: number,
): BlockBatches {
  const { targetsPerRow } = data;
  const members = plans.length;
  const steps = plans.reduce((most, plan) => Math.max(most, plan.length), 0);
  const rows = steps * members * batchSize;
  const weights = new Float32Array(rows * targetsPerRow);
  const active = new Float32Array(steps * members);
  /** The row of the set at each place; -1 where there is none. */
  const sources = new Int32Array(rows).fill(-1);
  plans.forEach((plan, member) =>
    plan.forEach((batch, step) => {
      active[step * members + member] = 1;
      const first = (step * members + member) * batchSize;
      sources.set(batch, first);
      const counted = batch.reduce((count, row) => count + countTargets(data, row), 0);
      if (counted > 0) {
        weights.fill(1 / counted, first * targetsPerRow, (first + batch.length) * targetsPerRow);
      }
    })
  );
  const tokens = countBatches(data, plans, batchSize);
  const place = <Data extends ColumnData>(from: Data, width: number): Data => {
    const placed = zerosAs(from, rows * width);
    sources.forEach((source, row) => {
      if (source >= 0) placed.set(from.subarray(source * width, (source + 1) * width), row * width);
    });
    return placed;
  };
  return {
    members,
    steps,
    batchSize,
    length: data.length,
    targetsPerRow,
    inputs: mapColumns(
      data.inputs,
      (column) => ({ ...column, data: place(column.data, sizeOf(column.shape)) }),
    ),
    targets: place(data.targets, targetsPerRow),
    weights,
    active,
    stepsOf: plans.map((plan) => plan.length),
    tokens,
  };
}

/** The tokens of each row of each member's steps, by the step. */
function countBatches(
  data: TaskSet,
  plans: readonly (readonly (readonly number[])[])[],
  batchSize: number,
): number[][][] | undefined {
  if (data.inputs.attentionMask === undefined) return undefined;
  const steps = plans.reduce((most, plan) => Math.max(most, plan.length), 0);
  return Array.from({ length: steps }, (_, step) =>
    plans.map((plan) => {
      const batch = plan[step] ?? [];
      return Array.from(
        { length: batchSize },
        (_, i) => i < batch.length ? countTokens(data, batch[i]!)! : 0,
      );
    }));
}
