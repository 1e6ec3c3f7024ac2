import { Linear, type Module, type Tensor, toFloat, unrounded } from "../../engine/mod.ts";
import { AdapterMismatchError } from "../errors.ts";
import type { FactoredLinear } from "../layers/factored/factored_linear.ts";
import { residualOf } from "../starts/residual.ts";

/** The weights of a model's ordinary linear layers by layer name. */
export function linearWeights(model: Module): Map<string, Tensor> {
  return new Map(
    [...model.namedModules()].flatMap(([name, module]) =>
      module instanceof Linear ? [[name, module.weight]] : []
    ),
  );
}

/**
 * The weight that a layer adapts, out of the pretrained model.
 *
 * @throws {AdapterMismatchError} when the model has no such linear layer, or one of another shape.
 */
export function pretrainedWeight(
  name: string,
  adapter: FactoredLinear,
  weights: ReadonlyMap<string, Tensor>,
): Tensor {
  const weight = weights.get(name);
  if (weight === undefined) {
    throw new AdapterMismatchError(
      `Cannot find the weight that ${name} adapts: the pretrained model has no linear layer of this name`,
    );
  }
  const [expected, found] = [adapter.weight.shape, weight.shape].map((shape) => `[${shape.join(", ")}]`);
  if (expected !== found) {
    throw new AdapterMismatchError(
      `Cannot take ${name} as adapted: the pretrained weight must be ${expected}, got ${found}`,
    );
  }
  return weight;
}

/** Whether the frozen weight of an adapter is, bit for bit, what its initialisation left of the pretrained one. */
export async function isResidual(adapter: FactoredLinear, pretrained: Tensor): Promise<boolean> {
  const { weight, initial, sharedScaling: scaling } = adapter;
  if (weight === pretrained) return true;
  const expected = initial ? await residualOf(pretrained, { ...initial, scaling }) : pretrained.detach();
  const [before, now] = [bitsOf(await floatsOf(expected)), bitsOf(await floatsOf(weight))];
  expected.dispose();
  return now.every((bits, i) => bits === before[i]);
}

/** The elements of a pretrained weight as they were before they were rounded to its precision, if they can be read again. */
export async function originalOf(weight: Tensor): Promise<Float32Array> {
  using whole = await unrounded(weight);
  return await whole.floats();
}

/** The elements of a weight in any precision. */
export async function floatsOf(weight: Tensor): Promise<Float32Array> {
  using wide = toFloat(weight);
  return await wide.floats();
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}
