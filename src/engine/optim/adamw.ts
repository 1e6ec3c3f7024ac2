import { f32Bits } from "../gpu/device.ts";
import type { Tensor } from "../tensor.ts";
import { OptimizerState } from "./_state.ts";
import type { Optimizer, StepOptions } from "./optimizer.ts";

/** Options of {@linkcode AdamW}. */
export interface AdamWOptions {
  /** Decay of the mean of gradients; 0.9 by default. */
  readonly beta1?: number;
  /** Decay of the mean of squared gradients; 0.999 by default. */
  readonly beta2?: number;
  /** Added to the denominator; 1e-8 by default. */
  readonly epsilon?: number;
  /** Decoupled decay of the weights; 0 by default. */
  readonly weightDecay?: number;
}

/** Adam with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101). */
export class AdamW implements Optimizer {
  readonly #state: OptimizerState;
  readonly #options: Required<AdamWOptions>;
  #steps = 0;

  /** @param parameters [C, ...] each, all with the same C. */
  constructor(parameters: readonly Tensor[], options: AdamWOptions = {}) {
    this.#options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, ...options };
    const { beta1, beta2, epsilon } = this.#options;
    if (!(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1 && epsilon > 0)) {
      throw new RangeError(
        `Cannot use betas ${beta1}, ${beta2} and epsilon ${epsilon}: expected 0 <= beta < 1 and epsilon > 0`,
      );
    }
    this.#state = new OptimizerState(parameters, "adamw", 2);
  }

  /** One step; see {@linkcode Optimizer}. */
  step(gradients: readonly Tensor[], options: StepOptions): void {
    const { epsilon, weightDecay } = this.#options;
    // The kernel has the betas in f32: its 1 − β and these corrections must be of the same number.
    const [beta1, beta2] = [Math.fround(this.#options.beta1), Math.fround(this.#options.beta2)];
    this.#steps++;
    const scalars = [
      options.learningRate,
      weightDecay,
      beta1,
      beta2,
      1 - beta1 ** this.#steps,
      1 - beta2 ** this.#steps,
      epsilon,
    ];
    this.#state.step(gradients, [...scalars.map(f32Bits), 0], options);
  }

  /** Frees the state. */
  dispose(): void {
    this.#state.dispose();
  }
}
