import type { Gpu, GpuStats, KernelProfile, Profile } from "../../engine/mod.ts";
import { type MethodConfig, methodLabel } from "../config/config.ts";
import type { Experiment } from "./experiment.ts";
import { trainFirstBlock } from "./first_block.ts";

/** Options of {@linkcode profileSteps}. */
export interface ProfileStepsOptions {
  /** Steps to measure, and as many to profile. */
  readonly steps: number;
  readonly onStep?: ((done: number, total: number) => void) | undefined;
}

/** What a training step costs. All but `kernels` and `gpuMilliseconds` was measured without a profiler. */
export interface StepProfile {
  /** The label of the method. */
  readonly method: string;
  /** The number of clients in the block, and of the steps that are averaged. */
  readonly members: number;
  readonly steps: number;
  /** Of all steps; the slowest first. */
  readonly kernels: readonly KernelProfile[];
  /** Mean of a step, summed over its kernels. */
  readonly gpuMilliseconds: number;
  /** Mean from step to step. */
  readonly wallMilliseconds: number;
  /** The part of it in which the host did not wait for the GPU. */
  readonly hostMilliseconds: number;
  /** Means of a step. */
  readonly dispatches: number;
  readonly submits: number;
  readonly buffersCreated: number;
  readonly bindGroupsCreated: number;
  readonly pipelinesCreated: number;
}

/**
 * Steps before anything is measured: the first compile pipelines and create buffers, and the GPU is three steps behind the
 * host.
 */
const warmUps = 5;

/**
 * Measures local training of the first block of a method's first round: steps to warm up, steps without
 * a profiler, and steps with one. The trained values are thrown away.
 *
 * @throws {MissingFeatureError} when the device has no timestamp queries.
 */
export async function profileSteps(
  experiment: Experiment,
  method: MethodConfig,
  { steps, onStep }: ProfileStepsOptions,
): Promise<StepProfile> {
  const total = warmUps + 2 * steps;
  const timer = new StepTimer(experiment.gpu, steps);
  const members = await trainFirstBlock(experiment, method, {
    steps: total,
    onStep(done) {
      timer.step(done);
      onStep?.(done, total);
    },
  });
  return { method: methodLabel(method), members, ...await timer.result() };
}

interface Moment extends GpuStats {
  readonly now: number;
}

/** Reads clocks and counters after each step, and profiles the last of them. */
class StepTimer {
  readonly #gpu: Gpu;
  readonly #steps: number;
  #from: Moment | undefined;
  #to: Moment | undefined;
  #stop: (() => Promise<Profile>) | undefined;
  #profile: Promise<Profile> | undefined;

  constructor(gpu: Gpu, steps: number) {
    this.#gpu = gpu;
    this.#steps = steps;
  }

  step(done: number): void {
    if (done === warmUps) this.#from = this.#now();
    if (done === warmUps + this.#steps) {
      this.#to = this.#now();
      const profiler = this.#gpu.profile();
      this.#stop = () => profiler.stop();
    }
    if (done === warmUps + 2 * this.#steps) this.#profile = this.#stop!();
  }

  async result(): Promise<Omit<StepProfile, "method" | "members">> {
    const { kernels, milliseconds } = await this.#profile!;
    const perStep = (name: keyof Moment) => (this.#to![name] - this.#from![name]) / this.#steps;
    return {
      steps: this.#steps,
      kernels,
      gpuMilliseconds: milliseconds / this.#steps,
      wallMilliseconds: perStep("now"),
      hostMilliseconds: perStep("now") - perStep("waitedMilliseconds"),
      dispatches: perStep("dispatches"),
      submits: perStep("submits"),
      buffersCreated: perStep("created"),
      bindGroupsCreated: perStep("bindGroups"),
      pipelinesCreated: perStep("pipelines"),
    };
  }

  #now(): Moment {
    return { ...this.#gpu.stats(), now: performance.now() };
  }
}
