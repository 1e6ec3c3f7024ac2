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

/** The shapes that a client of a lower rank has: fewer rows of A [r, in], fewer columns of B [out, r]. */
export function shapesOfRank(shapes: Shapes, rank: number): Shapes {
  return new Map([...shapes].map(([name, shape]) => {
    const [first = 0, second = 0] = shape;
    if (name.endsWith(".loraA")) return [name, [Math.min(first, rank), second]];
    if (name.endsWith(".loraB")) return [name, [first, Math.min(second, rank)]];
    return [name, shape];
  }));
}
