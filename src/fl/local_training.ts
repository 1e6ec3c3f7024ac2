import {
  AdamW,
  type AdamWOptions,
  add,
  assign,
  backward,
  crossEntropy,
  disposeAll,
  emptyPacked,
  type Gpu,
  keep,
  mul,
  type Optimizer,
  reshape,
  Sgd,
  type SgdOptions,
  slice,
  sum,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from "../engine/mod.ts";
import type { TextClassifier } from "../models/text_classifier.ts";
import type { CohortBatches } from "./batches.ts";

/** The optimiser of local training; its state starts anew each round. */
export type LocalOptimizer =
  | ({ readonly name: "adamw" } & AdamWOptions)
  | ({ readonly name: "sgd" } & SgdOptions);

/** Options of {@linkcode trainCohort}. */
export interface LocalTrainingOptions {
  readonly optimizer: LocalOptimizer;
  readonly learningRate: number;
  /** Longest gradient of one client, over all it trains; unclipped by default. */
  readonly clipNorm?: number | undefined;
  /** Called after each step is recorded. */
  readonly onStep?: ((step: number, steps: number) => void) | undefined;
}

/** What a cohort has learnt. Its maker disposes the tensors. */
export interface CohortResult {
  /** Trained parameters [C, ...] by name. */
  readonly values: ReadonlyMap<string, Tensor>;
  /** Mean training loss of each member over its steps, f32 [C]. */
  readonly losses: Tensor;
}

/**
 * Trains a cohort of C clients from the same starting point in one stream of kernels. What is trained gets a leading client
 * axis; frozen weights are shared and see the rows of all clients at once. The loss is the sum over clients of each one's
 * mean, so every gradient is a client's own; a client that has done its steps no longer moves.
 */
export async function trainCohort(
  model: TextClassifier,
  start: ReadonlyMap<string, Tensor>,
  options: LocalTrainingOptions & { readonly batches: CohortBatches },
): Promise<CohortResult> {
  const { batches, clipNorm, learningRate, onStep } = options;
  const { members, steps } = batches;
  const gpu = start.values().next().value!.gpu;
  const shapes = [...start.values()].map(({ shape }) => [members, ...shape]);
  const parameters = emptyPacked(gpu, shapes).map((each) => keep(each).requireGrad());
  const gradients = emptyPacked(gpu, shapes).map(keep);
  const values = new Map([...start.keys()].map((name, i) => [name, parameters[i]!]));
  for (const [name, value] of start) assign(values.get(name)!, value);
  const bound = model.mapParameters((name, parameter) => values.get(name) ?? parameter);
  const optimizer = createOptimizer(parameters, options.optimizer);
  const inputs = upload(gpu, batches);
  let losses = keep(zeros(gpu, [members]));
  try {
    for (let step = 0; step < steps; step++) {
      const before = losses;
      losses = keep(tidy(() => {
        const at = (x: Tensor) => reshape(slice(x, { start: step, end: step + 1 }), x.shape.slice(1));
        const logits = bound.forward({ ids: at(inputs.ids), mask: at(inputs.mask) });
        const perClient = sum(mul(crossEntropy(logits, at(inputs.labels)), at(inputs.weights)), {
          axes: [1],
        });
        backward(sum(perClient), parameters, { into: gradients });
        optimizer.step(gradients, { learningRate, active: at(inputs.active), clipNorm });
        return add(before, perClient.detach());
      }));
      before.dispose();
      onStep?.(step + 1, steps);
      await gpu.throttle();
    }
    const perStep = tensor(gpu, batches.stepsOf.map((count) => 1 / count));
    const means = keep(tidy(() => mul(losses, perStep)));
    perStep.dispose();
    return { values, losses: means };
  } catch (error) {
    disposeAll(parameters);
    throw error;
  } finally {
    losses.dispose();
    optimizer.dispose();
    disposeAll(gradients);
    disposeAll(Object.values(inputs));
  }
}

function createOptimizer(parameters: readonly Tensor[], options: LocalOptimizer): Optimizer {
  const { name, ...rest } = options;
  return name === "adamw" ? new AdamW(parameters, rest) : new Sgd(parameters, rest);
}

function upload(gpu: Gpu, batches: CohortBatches) {
  const { steps, members, batchSize, length, ids, mask, labels, weights, active } = batches;
  const rows = [steps, members, batchSize];
  return {
    ids: tensor(gpu, ids, { shape: [...rows, length] }),
    mask: tensor(gpu, mask, { shape: [...rows, length] }),
    labels: tensor(gpu, labels, { shape: rows }),
    weights: tensor(gpu, weights, { shape: rows }),
    active: tensor(gpu, active, { shape: [steps, members] }),
  };
}
