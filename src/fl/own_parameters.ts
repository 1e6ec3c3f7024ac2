import { disposeAll, type Tensor } from "../engine/mod.ts";
import { adaptersOf } from "../federa/mod.ts";
import type { TaskModel } from "../tasks/mod.ts";

/** The parameters of a trained model that it doesn't share with the pretrained one, by name. */
export function ownParameters(model: TaskModel, pretrained: TaskModel): [name: string, parameter: Tensor][] {
  const shared = new Set([...pretrained.namedParameters()].map(([, parameter]) => parameter));
  return [...model.namedParameters()].filter(([, parameter]) => !shared.has(parameter));
}

/** Disposes the tensors of a trained model that it doesn't share with the pretrained one. */
export function disposeOwn(model: TaskModel, pretrained: TaskModel): void {
  disposeAll(ownParameters(model, pretrained).map(([, parameter]) => parameter));
  for (const { initial } of adaptersOf(model).values()) disposeAll(Object.values<Tensor>({ ...initial }));
}
