import { arithmetic } from "../../../experiment/checkpoint/identity.ts";
import { contentHash } from "../../../experiment/checkpoint/content_hash.ts";
import { hashParameters } from "../../../experiment/checkpoint/hash_parameters.ts";
import { describeAdapter } from "../../../experiment/gpu/describe_adapter.ts";
import { versions } from "../../../experiment/run/versions.ts";
import { type Gpu, tidy } from "../../../engine/mod.ts";
import type { Tree } from "../../../fl/tree.ts";
import type { Method } from "../../../fl/mod.ts";
import { firstInputs, packBatches, type TaskModel, type TaskSet } from "../../../tasks/mod.ts";
import type { WorkerKind } from "./messages.ts";

/** What this process's bits follow from beside its work. */
export function kindOf(gpu: Gpu): WorkerKind {
  return { federa: versions().federa, arithmetic, adapter: describeAdapter(gpu) };
}

/** SHA-256 of what a model makes of the first texts of a set, so that two processes find out whether they compute alike. */
export async function fingerprintOf(model: TaskModel, set: TaskSet): Promise<string> {
  const { gpu } = model;
  const rows = Array.from({ length: Math.min(2, set.size) }, (_, i) => i);
  const batches = packBatches(set, [[rows]], rows.length);
  using outputs = tidy(() => model.forward(firstInputs(gpu, batches)));
  return contentHash(await outputs.floats());
}

/** SHA-256 of a model's parameters that a method's state has no values of. */
export async function frozenHash(model: TaskModel, method: Method, state: Tree): Promise<string> {
  const moving = method.parameters(state);
  return await hashParameters([...model.namedParameters()].filter(([name]) => !moving.has(name)));
}
