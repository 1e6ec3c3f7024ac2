import type { Tensor } from "../tensor.ts";

/** Options of a step of an {@linkcode Optimizer}. */
export interface StepOptions {
  readonly learningRate: number;
  /** f32 [C]: members at 0 don't move; all move by default. */
  readonly active?: Tensor;
  /**
   * Largest norm of a member's gradient, over all its parameters together; a larger one is scaled by
   * clipNorm / (‖g‖₂ + 1e-6). No clipping by default.
   */
  readonly clipNorm?: number | undefined;
}

/**
 * Updates parameters [C, ...] in place. The C members of the leading axis don't affect each other. The state starts at zero
 * and is disposed with the optimiser.
 *
 * Parameters and gradients that lie side by side in memory, as `pack` and `emptyPacked` arrange them, share one launch.
 */
export interface Optimizer {
  /**
   * One step; `gradients` in the order of the parameters.
   *
   * @throws {TypeError} when their number or a shape differs.
   * @throws {RangeError} when `clipNorm` isn't positive.
   */
  step(gradients: readonly Tensor[], options: StepOptions): void;
  /** Frees the optimiser's state. */
  dispose(): void;
}
