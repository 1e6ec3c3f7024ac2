import { disposeAll, emptyPacked, type Gpu, OutOfMemoryError, type Tensor, tensor } from "../engine/mod.ts";
import { matchLinears } from "../federa/mod.ts";
import { BlockTraining, packBatches, type TaskModel } from "../tasks/mod.ts";
import { effectiveWeights, recordDynamics } from "./dynamics.ts";
import { evaluationBatch } from "../tasks/inference/run_model.ts";
import { planEvaluation } from "../tasks/inference/evaluation_plan.ts";
import { FactorCovariance } from "./factor_covariance.ts";
import { type ServerState, trainableParameters } from "./method.ts";
import type { SimulationOptions } from "./simulation_options.ts";

/** The cohorts of a simulation, and the memory that its rounds will take. */
export interface MemoryPlan {
  /** Clients trained at once. */
  readonly cohortSize: number;
  /** The most bytes of GPU buffers in use at once, those of the model counted. */
  readonly peakBytes: number;
  /** What may be held; null on a graphics processor, whose memory WebGPU doesn't tell, unless somebody says. */
  readonly budgetBytes: number | null;
}

/** Share of the free memory that a run may take, where the adapter is the CPU. */
const shareOfFree = 0.5;
/** What `"auto"` takes a graphics processor to have. */
const assumedBytes = 2 ** 31;
/** Steps after which training takes the same memory again. */
const rehearsedSteps = 2;

/**
 * The memory that the rounds of a simulation will take, found by recording one without running it (`Gpu.rehearse`): exact
 * but for what a method's aggregation does after the last cohort, and for the buffers of readbacks. With
 * `cohortSize: "auto"` it's that of the largest cohort that fits.
 *
 * @param state what the method made of `pretrained`.
 * @throws {OutOfMemoryError} when a round doesn't fit, with what would.
 */
export function planMemory(
  pretrained: TaskModel,
  state: ServerState,
  options: SimulationOptions,
): MemoryPlan {
  const { cohortSize, clients, clientsPerRound = clients.length, batchSize, checkpointing } = options;
  const { gpu } = state.model;
  const budgetBytes = budgetOf(gpu, options);
  const plan = (size: number, settings = options): MemoryPlan => {
    const peakBytes = gpu.stats().liveBytes +
      rehearseRound(pretrained, state, { ...settings, cohortSize: size });
    if (budgetBytes !== null && peakBytes > budgetBytes) {
      throw new OutOfMemoryError(
        `${gigabytes(peakBytes)} are needed and ${gigabytes(budgetBytes)} may be taken`,
      );
    }
    return { cohortSize: size, peakBytes, budgetBytes };
  };
  const attempt = (size: number, settings = options): MemoryPlan | null => {
    try {
      return plan(size, settings);
    } catch (error) {
      if (error instanceof OutOfMemoryError) return null;
      throw error;
    }
  };
  const wanted = cohortSize === "auto" ? clientsPerRound : Math.min(cohortSize, clientsPerRound);
  try {
    return plan(wanted);
  } catch (error) {
    if (!(error instanceof OutOfMemoryError)) throw error;
    const largest = largestFitting(wanted - 1, attempt);
    if (cohortSize === "auto" && largest !== null) return largest;
    const advice = [
      ...largest === null ? [] : [`cohorts of at most ${largest.cohortSize} (cohortSize "auto")`],
      ...checkpointing || attempt(wanted, { ...options, checkpointing: true }) === null
        ? []
        : ["checkpointing"],
      "a smaller batch, shorter texts, or f16 weights",
    ];
    throw new OutOfMemoryError(
      `Cannot train cohorts of ${wanted} with batches of ${batchSize}: ${error.message}. Use ${
        advice.join(", or ")
      }`,
    );
  }
}

/** The plan of the largest cohort up to `most` that fits. */
function largestFitting(most: number, attempt: (size: number) => MemoryPlan | null): MemoryPlan | null {
  let best: MemoryPlan | null = null;
  for (let [low, high] = [1, most]; low <= high;) {
    const middle = (low + high) >> 1;
    const plan = attempt(middle);
    if (plan === null) high = middle - 1;
    else {
      best = plan;
      low = middle + 1;
    }
  }
  return best;
}

/** What may be held: as told, or a share of what is free beside what is held already. */
function budgetOf(gpu: Gpu, { maxGpuBytes, cohortSize }: SimulationOptions): number | null {
  if (maxGpuBytes !== undefined) return maxGpuBytes;
  const { liveBytes, idleBytes } = gpu.stats();
  const free = gpu.freeBytes;
  if (free !== undefined) return liveBytes + idleBytes + shareOfFree * free;
  return cohortSize === "auto" ? assumedBytes : null;
}

/** The memory of a round: the last of its cohorts, when aggregation holds most, then measures and evaluation. */
function rehearseRound(
  pretrained: TaskModel,
  state: ServerState,
  options: SimulationOptions & { readonly cohortSize: number },
): number {
  const {
    method,
    targets,
    train,
    test,
    clients,
    clientsPerRound = clients.length,
    batchSize,
    work,
    cohortSize,
  } = options;
  const { model } = state;
  const { gpu } = model;
  const names = matchLinears(pretrained, targets);
  const longest = clients.reduce((most, { length }) => Math.max(most, length), 0);
  const steps = "steps" in work ? work.steps : work.epochs * Math.ceil(longest / batchSize);
  const batchBytes = 4 * steps * cohortSize * batchSize * train.length;
  if (batchBytes > gpu.maxBindingBytes) {
    throw new OutOfMemoryError(
      `${gigabytes(batchBytes)} are needed for the tokens of ${steps} local steps, ${
        gigabytes(gpu.maxBindingBytes)
      } fit into a tensor; take fewer`,
    );
  }
  const batchesOf = (size: number) =>
    packBatches(train, new Array(size).fill(new Array(steps).fill([0])), batchSize);
  const [numFull, rest] = [Math.floor(clientsPerRound / cohortSize), clientsPerRound % cohortSize];
  return gpu.rehearse(() => {
    const origin = effectiveWeights(pretrained, names);
    const before = effectiveWeights(model, names);
    const covariance = new FactorCovariance(model);
    const aggregation = method.aggregate(state);
    const start = trainableParameters(model, method.trainable);
    const add = (values: ReadonlyMap<string, Tensor>, size: number) => {
      const weights = tensor(gpu, new Float32Array(size));
      covariance.add({ values, weights });
      aggregation.add({ values, weights });
      disposeAll([weights, ...values.values()]);
    };
    const shapes = [...start.values()].map(({ shape }) => [cohortSize, ...shape]);
    for (let earlier = 1; earlier < numFull; earlier++) {
      const values = emptyPacked(gpu, shapes);
      add(new Map([...start.keys()].map((name, i) => [name, values[i]!])), cohortSize);
    }
    for (const size of rest === 0 ? [cohortSize] : [cohortSize, rest]) {
      const batches = batchesOf(size);
      const training = new BlockTraining(model, start, { ...options, learningRate: 0, batches });
      for (let step = 0; step < Math.min(steps, rehearsedSteps); step++) training.step();
      const { values, losses } = training.finish();
      training[Symbol.dispose]();
      add(values, size);
      losses.dispose();
    }
    aggregation.dispose();
    const after = effectiveWeights(model, names);
    recordDynamics(model, covariance, { before, after, pretrained: origin }).dispose();
    covariance.dispose();
    disposeAll(before.values());
    const evaluated = new Map(
      planEvaluation(test).map((each) => [`${each.rows.length} ${each.length}`, each]),
    );
    for (const each of evaluated.values()) {
      disposeAll(Object.values<Tensor>({ ...evaluationBatch(method.evaluationModel(state), test, each) }));
    }
    disposeAll([...origin.values(), ...after.values()]);
  });
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toPrecision(3)} GB`;
}
