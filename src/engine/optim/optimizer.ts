import type { Tensor } from "../tensor.ts";

/** What an {@linkcode Optimizer} needs for a step. */
export interface StepOptions {
  readonly learningRate: number;
  /** f32 [C]: members at 0 don't move; all move by default. */
  readonly active?: Tensor;
  /**
   * Longest gradient of a member, all its parameters together; a longer one is scaled by clipNorm / (‖g‖₂ + 1e-6).
   * Unclipped by default.
   */
  readonly clipNorm?: number | undefined;
}

/**
 * Moves parameters [C, ...] in place along their gradients. The C members of the leading axis never see each other. State
 * is created zero, and disposed with the optimiser.
 *
 * Parameters and gradients that lie side by side, as `pack` and `emptyPacked` lay them, take one launch together.
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
