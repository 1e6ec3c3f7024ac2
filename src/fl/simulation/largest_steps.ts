import { countTokens, extentsOf, largestOf, layOut, type TaskSet } from "../../tasks/mod.ts";

/** The rows of each local step of a client. */
export type StepPlan = readonly (readonly number[])[];

/** Options of {@linkcode largestSteps}. */
export interface LargestStepsOptions {
  readonly train: TaskSet;
  readonly batchSize: number;
}

/** A block of a round to come. */
export interface PlannedBlock {
  /** Its place in its round, from 0. */
  readonly index: number;
  readonly plans: readonly StepPlan[];
}

/**
 * Those steps of some blocks that may take the most memory, as plans by the index of their block: all that no step covers which is as
 * large, in as late a block, and not the first one where this one isn't. A later block finds more that is held of those before, and a
 * later step the optimizer's state.
 */
export function largestSteps(
  blocks: Iterable<PlannedBlock>,
  { train, batchSize }: LargestStepsOptions,
): Map<number, StepPlan[]> {
  const tokensOf = (batch: readonly number[]) =>
    Array.from({ length: batchSize }, (_, i) => i < batch.length ? countTokens(train, batch[i]!) ?? 0 : 0);
  const largest = largestOf(stepsOf(blocks), ({ index, isFirst, batches }) => {
    const { kind, sizes } = extentsOf(batchSize, layOut(batches.map(tokensOf), { longest: train.length }));
    return { kind, sizes: [index, isFirst ? 0 : 1, batches.length, ...sizes] };
  });
  const found = new Map<number, StepPlan[]>();
  for (const { index, batches } of largest.sort((a, b) => Number(b.isFirst) - Number(a.isFirst))) {
    const plans = found.get(index) ?? batches.map(() => []);
    found.set(index, plans.map((plan, member) => [...plan, batches[member] ?? []]));
  }
  return found;
}

/** A step of a block: the batch of each member. */
interface BlockStep {
  readonly index: number;
  readonly isFirst: boolean;
  readonly batches: readonly (readonly number[])[];
}

function* stepsOf(blocks: Iterable<PlannedBlock>): Generator<BlockStep> {
  for (const { index, plans } of blocks) {
    const steps = plans.reduce((most, { length }) => Math.max(most, length), 0);
    for (let step = 0; step < steps; step++) {
      yield { index, isFirst: step === 0, batches: plans.map((plan) => plan[step] ?? []) };
    }
  }
}
