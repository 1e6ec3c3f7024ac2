import {
  disposeAll,
  formatShape,
  type Module,
  NonFiniteError,
  sameShape,
  type Tensor,
  tensor,
} from "../../engine/mod.ts";
import { AdapterMismatchError } from "../errors.ts";
import { type AdaptedModule, adaptedModules } from "../kinds/mod.ts";
import {
  type AdapterContents,
  type AdapterEntry,
  type HostTensor,
  readAdapter,
  shapesWithin,
  within,
  writeAdapter,
} from "./_adapter_format.ts";
import { checkNothingLeftOut, ownTensors } from "./own_tensors.ts";
import { moduleFingerprint } from "./fingerprint.ts";
import { withPlainAdapters } from "../layers/factored/plain_adapter.ts";

/** Options of {@linkcode encodeAdapter}. */
export interface EncodeAdapterOptions {
  /** The model that the adapters were attached to. */
  readonly pretrained: Module;
}

/**
 * An adapted model as a safetensors file of what it has beyond the pretrained one: of each adapted module its kind, settings and tensors,
 * see {@linkcode AdapterKind}; and every other parameter that isn't the pretrained model's own tensor, such as a trained head. What follows
 * bit for bit from the rest, as a frozen residual does from A₀ and B₀, is left out. A layer of low rank without a kind of its own is stored as plain LoRA, see
 * {@linkcode plainAdapter}.
 *
 * @throws {TypeError} when no layer is adapted, a factor carries the client axis, or something that differs from the pretrained model has
 *   no place in the file.
 * @throws {AdapterMismatchError} when the pretrained model lacks an adapted layer.
 * @throws {NonFiniteError} when a value is NaN or infinite.
 */
export function encodeAdapter(
  model: Module,
  options: EncodeAdapterOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  return withPlainAdapters(model, (plain) => encodePlain(plain, options));
}

async function encodePlain(
  model: Module,
  options: EncodeAdapterOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const adapted = adaptedModules(model);
  if (adapted.size === 0) throw new TypeError("Cannot save adapters: no layer of the model is adapted");
  const originals = new Map(options.pretrained.namedModules());
  const own = ownTensors(model, options.pretrained);
  const adapters = new Map<string, AdapterEntry>();
  for (const [name, found] of adapted) {
    const { kind, module } = found;
    const original = originals.get(name);
    for (const [extra, value] of kind.extras?.(module) ?? []) own.set(`${name}.${extra}`, value);
    const settings = settingsOf(name, found, own);
    const problem = kind.fit(original, { name, settings, shapes: shapesWithin(name, own) });
    if (problem !== undefined) {
      throw new AdapterMismatchError(
        `Cannot save the adapter of ${name} as one of the pretrained model: ${problem}`,
      );
    }
    adapters.set(name, { kind, settings, fingerprint: await fingerprintBy(found, original!) });
    for (const derived of await kind.derived?.(module, original!) ?? []) own.delete(`${name}.${derived}`);
  }
  checkNothingLeftOut(model, options.pretrained);
  const tensors = new Map<string, HostTensor>();
  for (const [name, parameter] of own) {
    const data = await parameter.floats();
    const bad = data.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw new NonFiniteError(`Cannot save ${name}: its element ${bad} is ${data[bad]}`);
    tensors.set(name, { dtype: "F32", shape: parameter.shape, data });
  }
  return writeAdapter({ adapters, tensors });
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
  refuse(await findMismatches(pretrained, contents));
  const { adapters, tensors } = contents;
  const [[, { gpu }]] = [...pretrained.namedParameters()] as [[string, Tensor]];
  const uploaded = new Map<string, Tensor>();
  const known = new Set([...pretrained.namedParameters()].map(([, parameter]) => parameter));
  let model = pretrained;
  try {
    for (const [name, { data, shape }] of tensors) uploaded.set(name, tensor(gpu, data, { shape }));
    // Inner modules first: an outer one is made around them.
    const inwards = [...adapters].sort(([one], [other]) => other.split(".").length - one.split(".").length);
    for (const [name, { kind, settings }] of inwards) {
      const original = new Map(model.namedModules()).get(name)!;
      const made = await kind.create(original, { name, settings, tensors: within(name, uploaded) });
      model = model.mapModules((each, module) => each === name ? made : module);
    }
    model = model.mapParameters((name, parameter) => uploaded.get(name) ?? parameter);
    refuse(findLoose(model, uploaded));
    return model;
  } catch (error) {
    const made = [...model.namedParameters()].map(([, parameter]) => parameter);
    disposeAll([...uploaded.values(), ...made.filter((parameter) => !known.has(parameter))]);
    throw error;
  }
}

function settingsOf(name: string, { kind, module }: AdaptedModule, own: ReadonlyMap<string, Tensor>) {
  const settings = kind.settings.parse(kind.settingsOf(module));
  const problem = kind.check?.({ name, settings, shapes: shapesWithin(name, own) });
  if (problem !== undefined) throw new TypeError(`Cannot save the adapter of ${name}: ${problem}`);
  return settings;
}

function fingerprintBy({ kind }: Pick<AdaptedModule, "kind">, original: Module): Promise<string> {
  return kind.fingerprint?.(original) ?? moduleFingerprint(original);
}

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) {
    throw new AdapterMismatchError(`Cannot put the adapter on this model: ${problems.join("; ")}`);
  }
}

async function findMismatches(
  pretrained: Module,
  { adapters, tensors }: AdapterContents,
): Promise<string[]> {
  const problems: string[] = [];
  const originals = new Map(pretrained.namedModules());
  for (const [name, { kind, settings, fingerprint }] of adapters) {
    const original = originals.get(name);
    const problem = kind.fit(original, { name, settings, shapes: shapesWithin(name, tensors) });
    if (problem !== undefined) problems.push(problem);
    else if (await fingerprintBy({ kind }, original!) !== fingerprint) {
      problems.push(`the weight of ${name} has other values than the one that was adapted`);
    }
  }
  const known = new Map(pretrained.namedParameters());
  const isAdapted = (name: string) => [...adapters.keys()].some((each) => name.startsWith(`${each}.`));
  for (const [name, { shape }] of tensors) {
    if (isAdapted(name)) continue;
    const parameter = known.get(name);
    if (parameter === undefined) problems.push(`it has no parameter ${name}`);
    else if (!sameShape(shape, parameter.shape)) {
      problems.push(`${name} must be ${formatShape(shape)}, got ${formatShape(parameter.shape)}`);
    }
  }
  return problems;
}

/** Tensors of a file that no module took. */
function findLoose(model: Module, uploaded: ReadonlyMap<string, Tensor>): string[] {
  const extras = [...adaptedModules(model)].flatMap(([name, { kind, module }]) =>
    [...kind.extras?.(module).keys() ?? []].map((extra) => `${name}.${extra}`)
  );
  const places = new Set([...model.namedParameters()].map(([name]) => name).concat(extras));
  return [...uploaded.keys()].filter((name) => !places.has(name)).map((name) =>
    `it has no parameter ${name}`
  );
}
