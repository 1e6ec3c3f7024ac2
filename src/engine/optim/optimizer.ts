import { formatShape, sameShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** What an {@linkcode Optimizer} needs for a step. */
export interface StepOptions {
  readonly learningRate: number;
  /** f32 [C]: members at 0 don't move; all move by default. */
  readonly active?: Tensor;
  /** f32 [C]: multiplies each member's gradient, as {@linkcode clipFactors} gives it; 1 by default. */
  readonly gradientScale?: Tensor;
}

/**
 * Moves parameters [C, ...] in place along their gradients. Every operation is elementwise, so the C members of the
 * leading axis never see each other. State is created zero, and disposed with the optimiser.
 */
export interface Optimizer {
  /** One step; `gradients` in the order of the parameters. */
  step(gradients: readonly Tensor[], options: StepOptions): void;
  /** Frees the optimiser's state. */
  dispose(): void;
}

/**
 * Checks gradients against parameters.
 *
 * @throws {TypeError} when a number or shape differs.
 */
export function checkGradients(parameters: readonly Tensor[], gradients: readonly Tensor[]): void {
  if (gradients.length !== parameters.length) {
    throw new TypeError(
      `Cannot step ${parameters.length} parameters with ${gradients.length} gradients: expected one each`,
    );
  }
  parameters.forEach((parameter, i) => {
    if (!sameShape(parameter.shape, gradients[i]!.shape)) {
      throw new TypeError(
        `Cannot step parameter ${i} of shape ${formatShape(parameter.shape)} with a gradient of shape ${
          formatShape(gradients[i]!.shape)
        }`,
      );
    }
  });
}

/** Number of members of parameters with a leading axis. */
export function membersOf(parameters: readonly Tensor[]): number {
  const members = parameters[0]?.shape[0];
  if (members === undefined || parameters.some((each) => each.shape[0] !== members)) {
    throw new TypeError(
      `Cannot optimise parameters of shapes ${
        parameters.map((each) => formatShape(each.shape)).join(", ")
      }: expected one leading extent`,
    );
  }
  return members;
}
