import type { Tensor } from "../../engine/mod.ts";
import { LowRankLinear } from "../../federa/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import type { Shapes } from "../tensors.ts";

/** A model whose adapters have a scale for each client of a block, f32 [C]. */
export function scaledByClient(model: TaskModel, scaling: Tensor): TaskModel {
  return model.mapModules((_, module) =>
    module instanceof LowRankLinear ? module.withScaling(scaling) : module
  );
}

/**
 * The axis of a factor that has the terms of an update, from the end: −2 of A [..., r, in], −1 of B [..., out, r]; undefined of whatever
 * is no factor.
 */
export function termAxis(name: string): -2 | -1 | undefined {
  return name.endsWith(".loraA") ? -2 : name.endsWith(".loraB") ? -1 : undefined;
}

/** The shapes that a client of a lower rank has: fewer rows of A [r, in], fewer columns of B [out, r]. */
export function shapesOfRank(shapes: Shapes, rank: number): Shapes {
  return new Map([...shapes].map(([name, shape]) => {
    const axis = termAxis(name);
    return [name, axis === undefined ? shape : shape.with(axis, Math.min(shape.at(axis)!, rank))];
  }));
}
