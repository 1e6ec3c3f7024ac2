import { formatShape, sameShape, type Tensor, tensor } from "../../engine/mod.ts";
import { AdapterMismatchError } from "../../federa/mod.ts";
import { readSafetensors, toFloat32 } from "../../models/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";

/**
 * Returns a copy of a model with the parameters of a file in place of its own.
 *
 * @throws {CorruptFileError} when the file is broken.
 * @throws {AdapterMismatchError} listing the parameters that the model lacks or has in another shape.
 */
export function applyParameters(pretrained: TaskModel, bytes: Uint8Array): TaskModel {
  const { tensors } = readSafetensors(bytes);
  const own = new Map(pretrained.namedParameters());
  const problems: string[] = [];
  const replaced = new Map<string, Tensor>();
  for (const [name, stored] of tensors) {
    const found = own.get(name);
    if (found === undefined) problems.push(`it has no ${name}`);
    else if (!sameShape(found.shape, stored.shape)) {
      problems.push(`${name} must be ${formatShape(found.shape)}, got ${formatShape(stored.shape)}`);
    } else replaced.set(name, tensor(pretrained.gpu, toFloat32(stored), { shape: stored.shape }));
  }
  if (problems.length > 0) {
    throw new AdapterMismatchError(`Cannot put parameters on this model: ${problems.join("; ")}`);
  }
  return pretrained.mapParameters((name, parameter) => replaced.get(name) ?? parameter);
}
