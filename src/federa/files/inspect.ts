import { concat, formatShape, type Gpu, neg, type Tensor, tensor, tidy } from "../../engine/mod.ts";
import { type Dtype, type StoredTensor, toFloat32 } from "../../models/weights/dtype.ts";
import type { WeightEntry, WeightSource } from "../../models/weights/weight_source.ts";
import { productSpectrum, type Spectrum, weightSpectrum, type WeightSpectrumOptions } from "../spectrum.ts";

/** Options of {@linkcode inspectTensors}. */
export interface InspectTensorsOptions extends WeightSpectrumOptions {
  /** Whether to find singular values; true by default. */
  readonly spectra?: boolean;
  /** Called after each tensor; at the end with `done` equal to `total`. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What there is to say of one tensor. */
export interface TensorInspection {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** √Σx² over the elements that are finite. */
  readonly norm: number;
  /** Elements that are NaN or infinite. */
  readonly nonFinite: number;
  /** Singular values of a matrix; undefined for other tensors, factors of a product, and where they weren't asked for. */
  readonly spectrum: Spectrum | undefined;
  /** Why a matrix has no spectrum. */
  readonly withoutSpectrum?: string;
}

/** What there is to say of a low-rank product of two tensors. */
export interface ProductInspection {
  /** The layer that it changes. */
  readonly name: string;
  /** Which product it is, without its scaling; of DoRA it changes the direction V, whose rows are then given lengths of their own. */
  readonly formula: `${"" | "V: "}${"B·A" | "B·A − B₀·A₀"}`;
  /** [out, in]. */
  readonly shape: readonly number[];
  readonly norm: number;
  readonly spectrum: Spectrum;
}

/** What {@linkcode inspectTensors} finds. */
export interface Inspection {
  readonly tensors: TensorInspection[];
  readonly products: ProductInspection[];
}

/** Names of the tensors of a low-rank product. */
interface Factors {
  readonly loraA: string;
  readonly loraB: string;
  readonly initialA: string | undefined;
  readonly initialB: string | undefined;
  /** Lengths of rows, of DoRA. */
  readonly magnitude: string | undefined;
}

/**
 * Looks into weight files of any kind: norms, and the singular values of matrices; of low-rank factors, as in this
 * package's adapter files or PEFT's, those of their product, which is never formed. What FeDeRA took out of a weight is
 * taken off, so that the change remains. One tensor is in memory at a time, or the factors of one layer.
 *
 * @throws {CorruptFileError} when a file ends early.
 * @example
 * ```ts no-run
 * const file = await SafetensorsFile.open("adapter.safetensors");
 * const { tensors, products } = await inspectTensors(gpu, file);
 * ```
 */
export async function inspectTensors(
  gpu: Gpu,
  source: Pick<WeightSource, "entries" | "read">,
  options: InspectTensorsOptions = {},
): Promise<Inspection> {
  const { spectra = true, onProgress } = options;
  const pairs = findFactors(source.entries);
  const factors = new Set([...pairs.values()].flatMap((pair) => Object.values(pair)));
  const total = source.entries.size + (spectra ? pairs.size : 0);
  const tensors: TensorInspection[] = [];
  for (const name of source.entries.keys()) {
    const stored = await source.read(name);
    const wanted = spectra && stored.shape.length === 2 && !factors.has(name);
    const found = measure(stored);
    const obstacle = wanted ? obstacleTo(gpu, stored, found) : undefined;
    tensors.push({
      name,
      dtype: stored.dtype,
      shape: stored.shape,
      ...found,
      spectrum: wanted && obstacle === undefined ? await spectrumOf(gpu, stored, options) : undefined,
      ...(obstacle !== undefined && { withoutSpectrum: obstacle }),
    });
    onProgress?.(tensors.length, total);
  }
  const products: ProductInspection[] = [];
  if (spectra) {
    for (const [name, pair] of pairs) {
      const isFinite = (each: TensorInspection) => each.nonFinite === 0;
      const parts = tensors.filter((each) => Object.values(pair).includes(each.name));
      if (parts.every(isFinite)) products.push(await inspectProduct(gpu, source, { name, ...pair }));
      onProgress?.(tensors.length + products.length, total);
    }
  }
  return { tensors, products };
}

/** Norm in float64, and the elements that have none. */
function measure({ dtype, data }: StoredTensor): { norm: number; nonFinite: number } {
  let [squares, nonFinite] = [0, 0];
  const values = dtype === "F16" || dtype === "BF16"
    ? toFloat32({ dtype, data, shape: [data.length] })
    : data;
  for (const each of values) {
    const value = Number(each);
    if (Number.isFinite(value)) squares += value * value;
    else nonFinite++;
  }
  return { norm: Math.sqrt(squares), nonFinite };
}

function obstacleTo(
  gpu: Gpu,
  { dtype, shape, data }: StoredTensor,
  { norm, nonFinite }: { readonly norm: number; readonly nonFinite: number },
): string | undefined {
  if (!(dtype === "F32" || dtype === "F16" || dtype === "BF16")) return `it holds ${dtype}`;
  if (data.length === 0) return "it is empty";
  if (nonFinite > 0) return `${nonFinite} of its elements are NaN or infinite`;
  if (norm === 0) return "it is zero";
  const bytes = 4 * data.length;
  if (bytes > gpu.maxBindingBytes) {
    return `${formatShape(shape)} takes ${bytes} bytes, and this adapter binds ${gpu.maxBindingBytes}`;
  }
  return undefined;
}

async function spectrumOf(gpu: Gpu, stored: StoredTensor, options: WeightSpectrumOptions): Promise<Spectrum> {
  using weight = upload(gpu, stored);
  return await weightSpectrum(weight, options);
}

async function inspectProduct(
  gpu: Gpu,
  source: Pick<WeightSource, "read">,
  { name, ...pair }: Factors & { readonly name: string },
): Promise<ProductInspection> {
  const take = async (part: string) => upload(gpu, await source.read(part));
  using a = await take(pair.loraA);
  using b = await take(pair.loraB);
  const shape = [b.shape[0]!, a.shape[1]!];
  const direction = pair.magnitude === undefined ? "" : "V: ";
  if (pair.initialA === undefined || pair.initialB === undefined) {
    return describe(await productSpectrum({ loraA: a, loraB: b }), {
      name,
      formula: `${direction}B·A`,
      shape,
    });
  }
  using a0 = await take(pair.initialA);
  using b0 = await take(pair.initialB);
  const stacked = tidy(() => ({ loraA: concat([a, a0]), loraB: concat([b, neg(b0)], { axis: 1 }) }));
  using loraA = stacked.loraA;
  using loraB = stacked.loraB;
  return describe(await productSpectrum({ loraA, loraB }), {
    name,
    formula: `${direction}B·A − B₀·A₀`,
    shape,
  });
}

function describe(
  spectrum: Spectrum,
  product: Pick<ProductInspection, "name" | "formula" | "shape">,
): ProductInspection {
  return { ...product, norm: Math.hypot(...spectrum.values), spectrum };
}

function upload(gpu: Gpu, stored: StoredTensor): Tensor {
  return tensor(gpu, toFloat32(stored), { shape: stored.shape });
}

/** The layers whose two factors are both there and fit, by name. */
function findFactors(entries: ReadonlyMap<string, WeightEntry>): Map<string, Factors> {
  const found = new Map<string, Factors>();
  const fits = (a: string, b: string): boolean => {
    const [left, right] = [entries.get(b), entries.get(a)];
    const isFactor = (entry: WeightEntry | undefined) =>
      entry?.shape.length === 2 && !entry.shape.includes(0) && ["F32", "F16", "BF16"].includes(entry.dtype);
    return isFactor(left) && isFactor(right) && left!.shape[1] === right!.shape[0];
  };
  for (const loraA of entries.keys()) {
    const [, layer, , suffix] = /^(.+)\.(loraA|lora_A)((?:\.\w+)?\.weight)?$/.exec(loraA) ?? [];
    if (layer === undefined) continue;
    const loraB = suffix === undefined ? `${layer}.loraB` : `${layer}.lora_B${suffix}`;
    if (!fits(loraA, loraB)) continue;
    const [initialA, initialB] = [`${layer}.initialA`, `${layer}.initialB`];
    const taken = sameExtents(entries, loraA, initialA) && sameExtents(entries, loraB, initialB);
    found.set(layer, {
      loraA,
      loraB,
      initialA: taken ? initialA : undefined,
      initialB: taken ? initialB : undefined,
      magnitude: [`${layer}.magnitude`, `${layer}.lora_magnitude_vector`].find((each) => entries.has(each)),
    });
  }
  return found;
}

function sameExtents(entries: ReadonlyMap<string, WeightEntry>, one: string, other: string): boolean {
  return entries.get(one)!.shape.join() === entries.get(other)?.shape.join();
}
