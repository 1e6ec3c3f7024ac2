import { randomKey, RandomStream } from "../engine/mod.ts";
import type { TokenizedSet } from "./dataset.ts";

/** How much a client trains each round: whole passes over its examples, or a number of steps. */
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
export function planBatches(examples: readonly number[], options: BatchPlanOptions): number[][] {
  const { work, batchSize, seed, round, client } = options;
  const perPass = Math.ceil(examples.length / batchSize);
  const steps = "steps" in work ? work.steps : work.epochs * perPass;
  const batches: number[][] = [];
  for (let pass = 0; batches.length < steps; pass++) {
    const order = new RandomStream(randomKey(seed, "batches", round, client, pass)).shuffle([...examples]);
    for (let i = 0; i < perPass && batches.length < steps; i++) {
      batches.push(order.slice(i * batchSize, (i + 1) * batchSize));
    }
  }
  return batches;
}

/** The batches of a cohort's local steps on the host, ready for upload. */
export interface CohortBatches {
  readonly members: number;
  readonly steps: number;
  readonly batchSize: number;
  readonly length: number;
  /** [steps, members, batchSize, length]. */
  readonly ids: Uint32Array;
  readonly mask: Float32Array;
  /** [steps, members, batchSize]. */
  readonly labels: Int32Array;
  /** [steps, members, batchSize]: 1/(examples in the batch), 0 where padded, so that a member's loss is its mean. */
  readonly weights: Float32Array;
  /** [steps, members]: 1 while a member has work, then 0. */
  readonly active: Float32Array;
  /** Steps of each member. */
  readonly stepsOf: readonly number[];
}

/** Lays the batches of several clients side by side, padded to the longest. */
export function packBatches(
  data: TokenizedSet,
  plans: readonly (readonly (readonly number[])[])[],
  batchSize: number,
): CohortBatches {
  const members = plans.length;
  const steps = Math.max(...plans.map((plan) => plan.length));
  const { length } = data;
  const rows = steps * members * batchSize;
  const ids = new Uint32Array(rows * length);
  const mask = new Float32Array(rows * length);
  const labels = new Int32Array(rows);
  const weights = new Float32Array(rows);
  const active = new Float32Array(steps * members);
  plans.forEach((plan, member) =>
    plan.forEach((batch, step) => {
      active[step * members + member] = 1;
      batch.forEach((example, i) => {
        const row = (step * members + member) * batchSize + i;
        ids.set(data.ids.subarray(example * length, (example + 1) * length), row * length);
        mask.set(data.mask.subarray(example * length, (example + 1) * length), row * length);
        labels[row] = data.labels[example]!;
        weights[row] = 1 / batch.length;
      });
    })
  );
  return {
    members,
    steps,
    batchSize,
    length,
    ids,
    mask,
    labels,
    weights,
    active,
    stepsOf: plans.map((plan) => plan.length),
  };
}
