import {
  accumulate,
  AdamW,
  type AdamWOptions,
  assign,
  backward,
  disposeAll,
  emptyPacked,
  formatShape,
  type Gpu,
  keep,
  mul,
  noGrad,
  type Optimizer,
  sameShape,
  Sgd,
  type SgdOptions,
  type Shape,
  sum,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from "../../engine/mod.ts";
import { packTokens } from "../../models/mod.ts";
import type { TaskModel } from "../mod.ts";
import type { BlockBatches } from "./batches.ts";
import { uploadStep } from "./step_rows.ts";

/** The optimiser of local training; its state starts anew each round. */
export type LocalOptimizer =
  | ({ readonly name: "adamw" } & AdamWOptions)
  | ({ readonly name: "sgd" } & SgdOptions);

/**
 * Changes the gradients [C, ...] of a step in place, by name, given the values [C, ...] that they were taken at, before they
 * are clipped and the optimiser sees them: proximal terms, control variates, masks. What it makes on the way is freed.
 *
 * @example FedProx (Li et al. 2020, arXiv:1812.06127, equation 2)
 * ```ts no-run
 * const correct: CorrectGradients = (gradients, values) => {
 *   for (const [name, gradient] of gradients) {
 *     accumulate(gradient, mul(sub(values.get(name)!, start.get(name)!), mu));
 *   }
 * };
 * ```
 */
export type CorrectGradients = (
  gradients: ReadonlyMap<string, Tensor>,
  values: ReadonlyMap<string, Tensor>,
) => void;

/** Options of {@linkcode trainBlock}. */
export interface LocalTrainingOptions {
  readonly optimizer: LocalOptimizer;
  readonly learningRate: number;
  /** Longest gradient of one client, over all it trains; unclipped by default. */
  readonly clipNorm?: number | undefined;
  /** Changes each step's gradients; left as they are by default. */
  readonly correct?: CorrectGradients | undefined;
  /** Runs each layer again in the backward pass instead of keeping its activations; off by default. */
  readonly checkpointing?: boolean | undefined;
  /** Called after each step is recorded; the device may be some steps behind. */
  readonly onStep?: ((step: number, steps: number) => void) | undefined;
  /** Called whenever the device has finished more steps; at the end with `done` equal to `steps`. */
  readonly onProgress?: ((done: number, steps: number) => void) | undefined;
}

/** What a block has learned. The caller disposes the tensors. */
export interface BlockResult {
  /** Trained parameters [C, ...] by name. */
  readonly values: ReadonlyMap<string, Tensor>;
  /** Mean training loss of each member over its steps, f32 [C]. */
  readonly losses: Tensor;
}

/**
 * Trains a block of C clients in one stream of kernels. What is trained gets a leading client axis; frozen weights are shared
 * and see the rows of all clients at once. The loss is the sum over clients of each one's mean, so every gradient is a client's
 * own; a client that has done its steps no longer moves.
 *
 * @param start values of the parameters to train by name: [...] as the model has it, where all clients start alike, or
 *   [C, ...] of each client's own.
 * @throws {TypeError} naming a parameter that the model lacks, or one of another shape.
 */
export async function trainBlock(
  model: TaskModel,
  start: ReadonlyMap<string, Tensor>,
  options: LocalTrainingOptions & { readonly batches: BlockBatches },
): Promise<BlockResult> {
  const { batches: { steps }, onStep, onProgress } = options;
  using training = new BlockTraining(model, start, options);
  const { gpu } = training;
  let done = 0;
  const report = (now: number) => {
    if (now > done) onProgress?.(done = now, steps);
  };
  for (let step = 1; step <= steps; step++) {
    training.step();
    onStep?.(step, steps);
    report(step - await gpu.throttle());
  }
  for (let unfinished = 1; unfinished >= 0; unfinished--) report(steps - await gpu.throttle(unfinished));
  return training.finish();
}

/** The training of one block, step by step. */
export class BlockTraining {
  readonly gpu: Gpu;
  readonly #options: LocalTrainingOptions & { readonly batches: BlockBatches };
  readonly #model: TaskModel;
  readonly #values: ReadonlyMap<string, Tensor>;
  readonly #parameters: readonly Tensor[];
  readonly #gradients: ReadonlyMap<string, Tensor>;
  readonly #optimizer: Optimizer;
  readonly #losses: Tensor;
  #steps = 0;
  #finished = false;

  /**
   * Copies the starting values for every member.
   *
   * @param start as {@linkcode trainBlock} takes it.
   * @throws {TypeError} naming a parameter that the model lacks, or one of another shape.
   */
  constructor(
    model: TaskModel,
    start: ReadonlyMap<string, Tensor>,
    options: LocalTrainingOptions & { readonly batches: BlockBatches },
  ) {
    const { batches, optimizer, checkpointing = model.encoder.checkpointing } = options;
    const { gpu } = model;
    const names = [...start.keys()];
    const shapes = memberShapes(model, start, batches.members);
    this.gpu = gpu;
    this.#options = options;
    this.#parameters = emptyPacked(gpu, shapes).map((each) => keep(each).requireGrad());
    this.#gradients = new Map(emptyPacked(gpu, shapes).map((each, i) => [names[i]!, keep(each)]));
    const values = new Map(names.map((name, i) => [name, this.#parameters[i]!]));
    for (const [name, value] of start) assign(values.get(name)!, value);
    this.#values = values;
    this.#model = model.withCheckpointing(checkpointing)
      .mapParameters((name, parameter) => values.get(name) ?? parameter);
    this.#optimizer = createOptimizer(this.#parameters, optimizer);
    this.#losses = keep(zeros(gpu, [batches.members]));
  }

  /** Trained parameters [C, ...] by name as they are now: the next step changes them in place. */
  get values(): ReadonlyMap<string, Tensor> {
    return this.#values;
  }

  /** Sum of each member's losses over its steps so far, f32 [C]; the next step changes it in place. */
  get lossSums(): Tensor {
    return this.#losses;
  }

  /** Records the next step of every member. */
  step(): void {
    const { learningRate, clipNorm, correct, batches } = this.#options;
    const gradients = [...this.#gradients.values()];
    const step = this.#steps++;
    const { encoder: { packsTokens }, task } = this.#model;
    const hasTargetPerToken = task.perToken && batches.targetsPerRow === batches.length;
    tidy(() => {
      const rows = uploadStep(this.gpu, batches, { step, packsTokens, hasTargetPerToken });
      const { inputs, targets, weights, active } = rows;
      const found = task.losses(this.#model.forward(inputs), { inputs, targets });
      const losses = hasTargetPerToken ? packTokens(found, inputs) : found;
      const perClient = sum(mul(losses, weights), { axes: losses.shape.map((_, i) => i).slice(1) });
      backward(sum(perClient), this.#parameters, { into: gradients });
      if (correct) noGrad(() => correct(this.#gradients, this.#values));
      this.#optimizer.step(gradients, { learningRate, active, clipNorm });
      accumulate(this.#losses, perClient);
    });
  }

  /** What was learned; the caller disposes the tensors. */
  finish(): BlockResult {
    const { stepsOf } = this.#options.batches;
    const losses = keep(tidy(() => mul(this.#losses, tensor(this.gpu, stepsOf.map((count) => 1 / count)))));
    this.#finished = true;
    return { values: this.#values, losses };
  }

  /** Frees all but what {@linkcode BlockTraining.finish} gave. */
  [Symbol.dispose](): void {
    this.#optimizer.dispose();
    disposeAll([this.#losses, ...this.#gradients.values()]);
    if (!this.#finished) disposeAll(this.#parameters);
  }
}

/** The shapes [C, ...] of what is trained. */
function memberShapes(model: TaskModel, start: ReadonlyMap<string, Tensor>, members: number): Shape[] {
  const parameters = new Map(model.namedParameters());
  return [...start].map(([name, value]) => {
    const parameter = parameters.get(name);
    if (parameter === undefined) {
      throw new TypeError(`Cannot train ${name}: the model has no such parameter`);
    }
    const shape = [members, ...parameter.shape];
    if (sameShape(value.shape, parameter.shape) || sameShape(value.shape, shape)) return shape;
    throw new TypeError(
      `Cannot train ${name} from shape ${formatShape(value.shape)}: expected ${
        formatShape(parameter.shape)
      } for all members alike, or ${formatShape(shape)}`,
    );
  });
}

function createOptimizer(parameters: readonly Tensor[], options: LocalOptimizer): Optimizer {
  const { name, ...rest } = options;
  return name === "adamw" ? new AdamW(parameters, rest) : new Sgd(parameters, rest);
}
