import source from "../../shaders/optimizer.wgsl";
import { f32Bits } from "../gpu/device.ts";
import { Kernel } from "../gpu/kernel.ts";
import { launch } from "../ops/launch.ts";
import { ones, zeros } from "../ops/create.ts";
import type { Tensor } from "../tensor.ts";
import { keep } from "../tidy.ts";
import { checkGradients, membersOf, type Optimizer, type StepOptions } from "./optimizer.ts";

const kernel = new Kernel({
  name: "sgd",
  source,
  entry: "sgd",
  bindings: ["read", "read", "read", "write", "write"],
});

/** Options of {@linkcode Sgd}. */
export interface SgdOptions {
  /** From 0 to below 1; 0 by default. */
  readonly momentum?: number;
  /** L2 penalty, added to the gradient; 0 by default. */
  readonly weightDecay?: number;
}

/** Stochastic gradient descent with momentum: v = μv + g, p −= rate·v. */
export class Sgd implements Optimizer {
  readonly #parameters: readonly Tensor[];
  readonly #velocities: readonly Tensor[];
  readonly #ones: Tensor;
  readonly #momentum: number;
  readonly #weightDecay: number;
  #steps = 0;

  /** @param parameters [C, ...] each, all with the same C. */
  constructor(parameters: readonly Tensor[], options: SgdOptions = {}) {
    this.#momentum = options.momentum ?? 0;
    this.#weightDecay = options.weightDecay ?? 0;
    if (!(this.#momentum >= 0 && this.#momentum < 1)) {
      throw new RangeError(`Cannot use momentum ${this.#momentum}: expected 0 <= momentum < 1`);
    }
    const members = membersOf(parameters);
    this.#ones = keep(ones(parameters[0]!.gpu, [members]));
    this.#parameters = parameters;
    this.#velocities = parameters.map((each) => keep(zeros(each.gpu, each.shape)));
  }

  /** One step; see {@linkcode Optimizer}. */
  step(gradients: readonly Tensor[], options: StepOptions): void {
    checkGradients(this.#parameters, gradients);
    const { learningRate, active = this.#ones, gradientScale = this.#ones } = options;
    const isFirst = this.#steps++ === 0 ? 1 : 0;
    this.#parameters.forEach((parameter, i) => {
      launch(kernel, {
        tensors: [gradients[i]!, active, gradientScale, parameter, this.#velocities[i]!],
        params: [
          parameter.size,
          parameter.size / parameter.shape[0]!,
          f32Bits(learningRate),
          f32Bits(this.#weightDecay),
          f32Bits(this.#momentum),
          0,
          0,
          0,
          0,
          isFirst,
        ],
        threads: parameter.size,
      });
    });
  }

  /** Frees the state. */
  dispose(): void {
    for (const each of [this.#ones, ...this.#velocities]) each.dispose();
  }
}
