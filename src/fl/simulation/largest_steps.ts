import { countTokens, extentsOf, largestOf, layOut, type TaskSet } from "../../tasks/mod.ts";

/** The rows of each local step of a client. */
export type StepPlan = readonly (readonly number[])[];

/** Options of {@linkcode largestSteps}. */
export interface LargestStepsOptions {
  readonly train: TaskSet;
  readonly batchSize: number;
}

/**
 * The plans of a block that takes only those steps that may take the most memory of all that some blocks of as many members take, at
 * least two.
 */
export function largestSteps(
  blocks: Iterable<readonly StepPlan[]>,
  { train, batchSize }: LargestStepsOptions,
): StepPlan[] {
  const tokensOf = (batch: readonly number[]) =>
    Array.from({ length: batchSize }, (_, i) => i < batch.length ? countTokens(train, batch[i]!) ?? 0 : 0);
  const largest = largestOf(
    stepsOf(blocks),
    (batches) => extentsOf(batchSize, layOut(batches.map(tokensOf), { longest: train.length })),
  );
  const steps = largest.length === 1 ? [largest[0]!, largest[0]!] : largest;
  return steps[0]!.map((_, member) => steps.map((batches) => batches[member]!));
}

/** The batches of each member, step by step. */
function* stepsOf(blocks: Iterable<readonly StepPlan[]>): Generator<(readonly number[])[]> {
  for (const plans of blocks) {
    const steps = plans.reduce((most, { length }) => Math.max(most, length), 0);
    for (let step = 0; step < steps; step++) yield plans.map((plan) => plan[step] ?? []);
  }
}
