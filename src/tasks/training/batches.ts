import { randomKey, RandomStream } from "../../engine/mod.ts";
import { countTargets, type TaskSet } from "../mod.ts";

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
  readonly length: number;
  readonly targetsPerRow: number;
  /** [steps, members, batchSize, length]. */
  readonly inputIds: Uint32Array;
  readonly attentionMask: Float32Array;
  readonly tokenTypeIds?: Uint32Array;
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
}

/** Lays the batches of several clients side by side, padded to the longest. */
export function packBatches(
  data: TaskSet,
  plans: readonly (readonly (readonly number[])[])[],
  batchSize: number,
): BlockBatches {
  const { length, targetsPerRow } = data;
  const members = plans.length;
  const steps = plans.reduce((most, plan) => Math.max(most, plan.length), 0);
  const rows = steps * members * batchSize;
  const inputIds = new Uint32Array(rows * length);
  const attentionMask = new Float32Array(rows * length);
  const tokenTypeIds = data.tokenTypeIds && new Uint32Array(rows * length);
  const Targets = data.targets instanceof Int32Array ? Int32Array : Float32Array;
  const targets = new Targets(rows * targetsPerRow);
  const weights = new Float32Array(rows * targetsPerRow);
  const active = new Float32Array(steps * members);
  plans.forEach((plan, member) =>
    plan.forEach((batch, step) => {
      active[step * members + member] = 1;
      const counted = batch.reduce((count, row) => count + countTargets(data, row), 0);
      batch.forEach((source, i) => {
        const row = (step * members + member) * batchSize + i;
        const tokens = [source * length, (source + 1) * length] as const;
        inputIds.set(data.inputIds.subarray(...tokens), row * length);
        attentionMask.set(data.attentionMask.subarray(...tokens), row * length);
        if (tokenTypeIds) tokenTypeIds.set(data.tokenTypeIds!.subarray(...tokens), row * length);
        for (let t = 0; t < targetsPerRow; t++) {
          targets[row * targetsPerRow + t] = data.targets[source * targetsPerRow + t]!;
          if (counted > 0) weights[row * targetsPerRow + t] = 1 / counted;
        }
      });
    })
  );
  return {
    members,
    steps,
    batchSize,
    length,
    targetsPerRow,
    inputIds,
    attentionMask,
    ...(tokenTypeIds && { tokenTypeIds }),
    targets,
    weights,
    active,
    stepsOf: plans.map((plan) => plan.length),
  };
}
