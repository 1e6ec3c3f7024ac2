import {
  disposeAll,
  formatShape,
  type Gpu,
  Linear,
  type Module,
  NonFiniteError,
  sameShape,
  type Tensor,
  tensor,
} from "../../engine/mod.ts";
import { encodeSafetensors } from "../../models/weights/safetensors.ts";
import {
  type AdapterContents,
  fingerprint,
  format,
  type HostTensor,
  readAdapter,
} from "./_adapter_format.ts";
import { isResidual, linearWeights, originalOf, pretrainedWeight } from "./pretrained.ts";
import { adaptersOf } from "../adapters.ts";
import { AdapterMismatchError } from "../errors.ts";
import { type LowRankFactors, LowRankLinear } from "../layers/low_rank_linear.ts";
import { residualOf } from "../starts/residual.ts";

/** Options of {@linkcode encodeAdapter}. */
export interface EncodeAdapterOptions {
  /** The model that the adapters were attached to. */
  readonly pretrained: Module;
}

/**
 * An adapted model as a safetensors file of what it has beyond the pretrained one: of each adapted layer A and B, and where
 * the weight was taken apart A₀ and B₀ (`initialA`, `initialB`), from which loading computes the frozen residual anew; and
 * every parameter that isn't the pretrained model's own tensor, such as a trained head. A residual that doesn't follow from
 * the pretrained weight bit for bit, as after exact aggregation, is stored whole.
 *
 * @throws {TypeError} when no layer is adapted, or a factor carries the client axis.
 * @throws {AdapterMismatchError} when the pretrained model lacks an adapted layer.
 * @throws {NonFiniteError} when a value is NaN or infinite.
 */
export async function encodeAdapter(
  model: Module,
  options: EncodeAdapterOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const adapters = adaptersOf(model);
  if (adapters.size === 0) throw new TypeError("Cannot save adapters: no layer of the model is adapted");
  const weights = linearWeights(options.pretrained);
  const shared = new Set([...options.pretrained.namedParameters()].map(([, parameter]) => parameter));
  const own = new Map([...model.namedParameters()].filter(([, parameter]) => !shared.has(parameter)));
  const metadata: Record<string, string> = { ...format };
  for (const [name, adapter] of adapters) {
    if (adapter.loraA.ndim !== 2) {
      throw new TypeError(
        `Cannot save the adapter of ${name}: expected A [r, in], got ${formatShape(adapter.loraA.shape)}`,
      );
    }
    const pretrained = pretrainedWeight(name, adapter, weights);
    metadata[`${name}.scaling`] = String(adapter.sharedScaling);
    metadata[`${name}.fingerprint`] = await fingerprint(await originalOf(pretrained));
    if (adapter.initial) {
      own.set(`${name}.initialA`, adapter.initial.loraA);
      own.set(`${name}.initialB`, adapter.initial.loraB);
    }
    if (await isResidual(adapter, pretrained)) own.delete(`${name}.weight`);
  }
  const stored = new Map<string, HostTensor>();
  for (const [name, parameter] of own) {
    const data = await parameter.floats();
    const bad = data.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw new NonFiniteError(`Cannot save ${name}: its element ${bad} is ${data[bad]}`);
    stored.set(name, { dtype: "F32", shape: parameter.shape, data });
  }
  return encodeSafetensors(stored, metadata);
}

/**
 * Puts a file of {@linkcode encodeAdapter} on the pretrained model it was made with; on the same adapter every bit is that
 * of the model that was saved. The copy shares all other tensors with `pretrained`.
 *
 * @throws {CorruptFileError} when the file is broken.
 * @throws {AdapterMismatchError} when the file belongs to another model; lists all that is missing, misshapen or different.
 * @example
 * ```ts no-run
 * const bytes = await encodeAdapter(model, { pretrained });
 * const same = await decodeAdapter(pretrained, bytes);
 * ```
 */
export async function decodeAdapter<M extends Module>(pretrained: M, bytes: Uint8Array): Promise<M> {
  const contents = readAdapter(bytes);
  const problems = await findMismatches(pretrained, contents);
  if (problems.length > 0) {
    throw new AdapterMismatchError(`Cannot put the adapter on this model: ${problems.join("; ")}`);
  }
  const { adapters, parameters } = contents;
  const residuals = await residualsOf(pretrained, contents);
  const adapted = pretrained.mapModules((name, module) => {
    const entry = adapters.get(name);
    if (!entry || !(module instanceof Linear)) return module;
    const { scaling, initial } = entry;
    const { weight: { gpu }, bias } = module;
    return new LowRankLinear({
      ...upload(gpu, entry),
      weight: residuals.get(name) ?? module.weight,
      bias,
      scaling,
      initial: initial && upload(gpu, initial),
    });
  });
  return adapted.mapParameters((name, parameter) => {
    const stored = parameters.get(name);
    return stored ? toTensor(parameter.gpu, stored) : parameter;
  });
}

/** What is left of the weights that factors were taken out of, by layer; not of those that the file holds. */
async function residualsOf(
  pretrained: Module,
  { adapters, parameters }: AdapterContents,
): Promise<Map<string, Tensor>> {
  const residuals = new Map<string, Tensor>();
  try {
    for (const [name, weight] of linearWeights(pretrained)) {
      const { initial, scaling } = adapters.get(name) ?? {};
      if (!initial || scaling === undefined || parameters.has(`${name}.weight`)) continue;
      const factors = upload(weight.gpu, initial);
      try {
        residuals.set(name, await residualOf(weight, { ...factors, scaling }));
      } finally {
        disposeAll([factors.loraA, factors.loraB]);
      }
    }
    return residuals;
  } catch (error) {
    disposeAll([...residuals.values()]);
    throw error;
  }
}

function upload(
  gpu: Gpu,
  { loraA, loraB }: { readonly loraA: HostTensor; readonly loraB: HostTensor },
): LowRankFactors {
  return { loraA: toTensor(gpu, loraA), loraB: toTensor(gpu, loraB) };
}

function toTensor(gpu: Gpu, { data, shape }: HostTensor): Tensor {
  return tensor(gpu, data, { shape });
}

async function findMismatches(
  pretrained: Module,
  { adapters, parameters }: AdapterContents,
): Promise<string[]> {
  const problems: string[] = [];
  const weights = linearWeights(pretrained);
  for (const [name, { loraA, loraB, fingerprint: expected }] of adapters) {
    const weight = weights.get(name);
    const shape = [loraB.shape[0]!, loraA.shape[1]!];
    if (weight === undefined) problems.push(`it has no linear layer ${name}`);
    else if (!sameShape(shape, weight.shape)) {
      problems.push(`the weight of ${name} must be ${formatShape(shape)}, got ${formatShape(weight.shape)}`);
    } else if (await fingerprint(await originalOf(weight)) !== expected) {
      problems.push(`the weight of ${name} has other values than the one that was adapted`);
    }
  }
  const known = new Map(pretrained.namedParameters());
  for (const [name, { shape }] of parameters) {
    const parameter = known.get(name);
    if (parameter === undefined) problems.push(`it has no parameter ${name}`);
    else if (!sameShape(shape, parameter.shape)) {
      problems.push(`${name} must be ${formatShape(shape)}, got ${formatShape(parameter.shape)}`);
    }
  }
  return problems;
}
