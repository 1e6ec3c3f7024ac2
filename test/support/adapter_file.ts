import assert from "node:assert/strict";
import type { Module, Tensor } from "../../src/engine/mod.ts";
import { adaptedModules, decodeAdapter, encodeAdapter } from "../../src/federa/mod.ts";
import { bitsOf } from "../engine/harness.ts";

/** The bits of every parameter of a model, and of what its adapters hold beside. */
export async function bitsOfModel(model: Module): Promise<Map<string, Uint32Array>> {
  const all: [string, Tensor][] = [...model.namedParameters()];
  for (const [name, { module, kind }] of adaptedModules(model)) {
    for (const [extra, value] of kind.extras?.(module) ?? []) all.push([`${name}.${extra}`, value]);
  }
  return new Map(
    await Promise.all(all.map(async ([name, each]) => [name, bitsOf(await each.floats())] as const)),
  );
}

/**
 * Checks that a file of an adapted model gives back every bit, class and setting, and the same file again. Returns the loaded model and
 * the file.
 */
export async function checkAdapterFile<M extends Module>(
  model: M,
  pretrained: M,
): Promise<{ readonly loaded: M; readonly bytes: Uint8Array }> {
  const bytes = await encodeAdapter(model, { pretrained });
  const loaded = await decodeAdapter(pretrained, bytes);
  assert.deepEqual(await bitsOfModel(loaded), await bitsOfModel(model));
  const describe = (each: M) =>
    [...adaptedModules(each)].map(([name, { module, kind }]) => [name, kind.name, kind.settingsOf(module)]);
  assert.deepEqual(describe(loaded), describe(model));
  assert.deepEqual(await encodeAdapter(loaded, { pretrained }), bytes);
  return { loaded, bytes };
}
