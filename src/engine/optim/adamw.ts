import source from "../../shaders/optimizer.wgsl";
import { f32Bits } from "../gpu/device.ts";
import { Kernel } from "../gpu/kernel.ts";
import { launch } from "../ops/launch.ts";
import { ones, zeros } from "../ops/create.ts";
import type { Tensor } from "../tensor.ts";
import { keep } from "../tidy.ts";
import { checkGradients, membersOf, type Optimizer, type StepOptions } from "./optimizer.ts";

const kernel = new Kernel({
  name: "adamw",
  source,
  entry: "adamw",
  bindings: ["read", "read", "read", "write", "write", "write"],
});

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
  readonly #parameters: readonly Tensor[];
  readonly #moments: readonly (readonly [Tensor, Tensor])[];
  readonly #ones: Tensor;
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
    const members = membersOf(parameters);
    this.#ones = keep(ones(parameters[0]!.gpu, [members]));
    this.#parameters = parameters;
    this.#moments = parameters.map(({ gpu, shape }) =>
      [keep(zeros(gpu, shape)), keep(zeros(gpu, shape))] as const
    );
  }

  /** One step; see {@linkcode Optimizer}. */
  step(gradients: readonly Tensor[], options: StepOptions): void {
    checkGradients(this.#parameters, gradients);
    const { learningRate, active = this.#ones, gradientScale = this.#ones } = options;
    const { epsilon, weightDecay } = this.#options;
    // The kernel has the betas in f32: its 1 − β and these corrections must be of the same number.
    const [beta1, beta2] = [Math.fround(this.#options.beta1), Math.fround(this.#options.beta2)];
    this.#steps++;
    const scalars = [
      learningRate,
      weightDecay,
      beta1,
      beta2,
      1 - beta1 ** this.#steps,
      1 - beta2 ** this.#steps,
      epsilon,
    ].map(f32Bits);
    this.#parameters.forEach((parameter, i) => {
      launch(kernel, {
        tensors: [gradients[i]!, active, gradientScale, parameter, ...this.#moments[i]!],
        params: [parameter.size, parameter.size / parameter.shape[0]!, ...scalars, 0],
        threads: parameter.size,
      });
    });
  }

  /** Frees the state. */
  dispose(): void {
    for (const each of [this.#ones, ...this.#moments.flat()]) each.dispose();
  }
}
