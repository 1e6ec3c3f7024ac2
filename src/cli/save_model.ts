import { join } from "node:path";
import { writeFileAtomic } from "../data/mod.ts";
import { adaptersOf, encodeAdapter } from "../federa/mod.ts";
import { encodeSafetensors } from "../models/safetensors.ts";
import type { TaskModel } from "../tasks/mod.ts";

/**
 * Writes what a model has beyond the pretrained one into a folder: `adapter.safetensors` where layers are adapted,
 * `parameters.safetensors` otherwise.
 *
 * @returns the path of the file.
 */
export async function saveModel(
  model: TaskModel,
  pretrained: TaskModel,
  folder: string,
): Promise<string> {
  const isAdapted = adaptersOf(model).size > 0;
  const path = join(folder, isAdapted ? "adapter.safetensors" : "parameters.safetensors");
  await writeFileAtomic(
    path,
    isAdapted ? await encodeAdapter(model, { pretrained }) : await encodeOwn(model, pretrained),
  );
  return path;
}

/** Frees the tensors that a model has beyond the pretrained one. */
export function disposeOwn(model: TaskModel, pretrained: TaskModel): void {
  for (const [, parameter] of ownParameters(model, pretrained)) parameter.dispose();
  for (const { initial } of adaptersOf(model).values()) {
    initial?.loraA.dispose();
    initial?.loraB.dispose();
  }
}

async function encodeOwn(model: TaskModel, pretrained: TaskModel): Promise<Uint8Array> {
  const stored = new Map<string, { dtype: "F32"; shape: readonly number[]; data: Float32Array }>();
  for (const [name, parameter] of ownParameters(model, pretrained)) {
    stored.set(name, { dtype: "F32", shape: parameter.shape, data: await parameter.floats() });
  }
  return encodeSafetensors(stored);
}

function ownParameters(model: TaskModel, pretrained: TaskModel) {
  const shared = new Set([...pretrained.namedParameters()].map(([, parameter]) => parameter));
  return [...model.namedParameters()].filter(([, parameter]) => !shared.has(parameter));
}
