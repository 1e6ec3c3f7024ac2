import { disposeAll, type Tensor } from "../engine/mod.ts";
import { extraTensors } from "../federa/mod.ts";
import type { TaskModel } from "../tasks/mod.ts";

/** The parameters of a trained model that it doesn't share with the pretrained one, by name. */
export function ownParameters(model: TaskModel, pretrained: TaskModel): [name: string, parameter: Tensor][] {
  const shared = new Set([...pretrained.namedParameters()].map(([, parameter]) => parameter));
  return [...model.namedParameters()].filter(([, parameter]) => !shared.has(parameter));
}

/** Disposes the tensors of a model that it doesn't share with another: of a trained one those it has beyond the pretrained one. */
export function disposeOwn(model: TaskModel, other: TaskModel): void {
  const shared = new Set(extraTensors(other));
  disposeAll(ownParameters(model, other).map(([, parameter]) => parameter));
  disposeAll(extraTensors(model).filter((extra) => !shared.has(extra)));
}
