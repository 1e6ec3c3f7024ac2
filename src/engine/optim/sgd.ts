import { f32Bits } from "../gpu/device.ts";
import type { Tensor } from "../tensor.ts";
import { OptimizerState } from "./_state.ts";
import type { Optimizer, StepOptions } from "./optimizer.ts";

/** Options of {@linkcode Sgd}. */
export interface SgdOptions {
  /** From 0 to below 1; 0 by default. */
  readonly momentum?: number;
  /** L2 penalty, added to the gradient; 0 by default. */
  readonly weightDecay?: number;
}

/** Stochastic gradient descent with momentum: v = μv + g, p −= rate·v. */
export class Sgd implements Optimizer {
  readonly #state: OptimizerState;
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
    this.#state = new OptimizerState(parameters, "sgd", 1);
  }

  /** One step; see {@linkcode Optimizer}. */
  step(gradients: readonly Tensor[], options: StepOptions): void {
    const isFirst = this.#steps++ === 0 ? 1 : 0;
    const scalars = [options.learningRate, this.#weightDecay, this.#momentum, 0, 0, 0, 0].map(f32Bits);
    this.#state.step(gradients, [...scalars, isFirst], options);
  }

  /** Frees the state. */
  dispose(): void {
    this.#state.dispose();
  }
}
