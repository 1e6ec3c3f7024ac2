import {
  BlockTraining,
  evaluate,
  noGrad,
  packBatches,
  planBatches,
  reshape,
  type TaskModel,
  type TaskSet,
  type Tensor,
} from "federa";
import type { Settings, TrainingEvent } from "./alone_calls.ts";

/** Options of {@linkcode fineTune}. */
export interface FineTuneOptions extends Pick<Settings, "learningRate" | "epochs" | "batchSize" | "seed"> {
  /** Names of the parameters to train. */
  readonly trained: readonly string[];
  readonly train: TaskSet;
  readonly test: TaskSet;
  readonly signal: AbortSignal;
  report(event: TrainingEvent): void;
  /** Called with the model as it is whenever it has been scored, and at the end; it shares the tensors of the training. */
  onModel(model: TaskModel, step: number): Promise<void>;
}

/** Most readings of the loss in a run: each waits for the device. */
const READINGS = 100;

/**
 * Trains a model on all of its own data, as one client with nobody beside it. It is scored before the first step and after each pass,
 * and can be cancelled between any two steps.
 *
 * @returns whether it came to its end.
 */
export async function fineTune(model: TaskModel, options: FineTuneOptions): Promise<boolean> {
  const { trained, train, test, signal, report, onModel, epochs, batchSize, seed, learningRate } = options;
  const { gpu } = model;
  const rows = Array.from({ length: train.size }, (_, row) => row);
  const plan = planBatches(rows, { work: { epochs }, batchSize, seed, round: 1, client: 0 });
  const parameters = new Map(model.namedParameters());
  using training = new BlockTraining(model, new Map(trained.map((name) => [name, parameters.get(name)!])), {
    batches: packBatches(train, [plan], batchSize),
    optimizer: { name: "adamw" },
    learningRate,
    clipNorm: 1,
  });
  // Views without the client axis: what the optimizer writes is seen at once.
  const views = noGrad(() =>
    new Map(
      [...training.values].map((
        [name, value],
      ): [string, Tensor] => [name, reshape(value, value.shape.slice(1))]),
    )
  );
  const current = model.mapParameters((name, parameter) => views.get(name) ?? parameter);
  const [steps, perPass] = [plan.length, plan.length / epochs];
  const clock = new Clock(epochs + 1);
  const score = async (step: number) => {
    report({ type: "phase", phase: "scoring" });
    const { loss, scores } = await clock.scoring(() =>
      evaluate(current, test, { onProgress: () => signal.throwIfAborted() })
    );
    report({ type: "score", step, loss, accuracy: scores["accuracy"]!, macroF1: scores["macroF1"]! });
    await onModel(current, step);
  };
  let step = 0;
  try {
    await score(0);
    report({ type: "phase", phase: "training" });
    const every = Math.ceil(steps / READINGS);
    for (let [read, sum] = [0, 0]; step < steps;) {
      signal.throwIfAborted();
      await clock.training(async () => {
        training.step();
        step++;
        const isRead = step % every === 0 || step % perPass === 0;
        if (!isRead) await gpu.throttle();
        else {
          const [total] = await training.lossSums.floats();
          report({ type: "loss", step, loss: (total! - sum) / (step - read) });
          [read, sum] = [step, total!];
        }
      });
      report({ type: "progress", step, steps, secondsLeft: clock.secondsLeft(steps - step) });
      if (step % perPass === 0) {
        await score(step);
        if (step < steps) report({ type: "phase", phase: "training" });
      }
    }
    return true;
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    await onModel(current, step);
    return false;
  } finally {
    for (const view of views.values()) view.dispose();
  }
}

/** How long steps and scores take, and what is left. */
class Clock {
  readonly #step = new MeanTime();
  readonly #score = new MeanTime();
  readonly #numScores: number;

  constructor(numScores: number) {
    this.#numScores = numScores;
  }

  training<T>(work: () => Promise<T>): Promise<T> {
    return this.#step.time(work);
  }

  scoring<T>(work: () => Promise<T>): Promise<T> {
    return this.#score.time(work);
  }

  secondsLeft(steps: number): number {
    return steps * this.#step.seconds + (this.#numScores - this.#score.count) * this.#score.seconds;
  }
}

/** A moving mean, without the first time, in which kernels are compiled. */
class MeanTime {
  count = 0;
  seconds = 0;

  async time<T>(work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work();
    const seconds = (performance.now() - start) / 1000;
    this.seconds = ++this.count <= 2 ? seconds : this.seconds + (seconds - this.seconds) / 10;
    return result;
  }
}
