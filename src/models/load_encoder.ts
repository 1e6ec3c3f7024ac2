import {
  disposeAll,
  formatShape,
  type Gpu,
  type Precision,
  sameShape,
  type Shape,
  type Tensor,
  tensor,
  toPrecision,
  zeros,
} from "../engine/mod.ts";
import { CorruptFileError } from "../data/errors.ts";
import { excerptOfNames } from "../data/text/excerpt.ts";
import { type Dtype, toFloat32 } from "./weights/dtype.ts";
import type { Backbone } from "./backbone.ts";
import { checkEncoderParameters, type EncoderFamily, type EncoderOptions } from "./family.ts";
import { ParameterMismatchError } from "./errors.ts";
import { checkFinite, storedParameters } from "./precision.ts";
import type { TransformerConfig } from "./transformer/config.ts";
import type { WeightEntry, WeightSource } from "./weights/weight_source.ts";

/** Options of {@linkcode loadEncoder}. */
export interface LoadEncoderOptions<Config extends TransformerConfig> extends EncoderOptions {
  readonly family: EncoderFamily<Config>;
  readonly config: Config;
  /** How linear weights and embedding tables are stored; see `inPrecision`. `f32` by default. */
  readonly precision?: Precision | undefined;
  /** Opens the weights again, for what is to be computed from them as they were before they were rounded to `precision`. */
  readonly reopen?: (() => Promise<WeightSource>) | undefined;
  /** Called after each tensor; at the end with `done` equal to `total`. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What {@linkcode loadEncoder} gives. */
export interface LoadedEncoder {
  readonly encoder: Backbone;
  /**
   * Tensors of the files, by their names there, that aren't part of the encoder: heads of pretraining and tasks, buffers and
   * others; `transformers` ignores them too.
   */
  readonly skipped: readonly string[];
}

const readable: readonly Dtype[] = ["F32", "F16", "BF16"];

/** Bytes that are handed to the device before its own copies of them are waited for. */
const stagedBytes = 2 ** 26;

/**
 * Builds an encoder from a checkpoint of it or of one of its task models, and ignores what else that holds. Shapes are checked before any data are read; then
 * tensors are read, widened to float32, uploaded and rounded to `precision` one by one, so that neither the host nor the device
 * ever holds more than a few in float32.
 *
 * The names may carry the family's prefix, and layer normalisations their old names `gamma` and `beta`.
 *
 * @throws {ParameterMismatchError} listing every tensor that is missing, or of another shape or an unreadable type.
 * @throws {CorruptFileError} when the files don't hold what they say.
 * @throws {NonFiniteError} naming a weight that is to be rounded and holds NaN or infinity.
 * @throws {TypeError} when it should pool by a dense layer that the files don't have.
 * @example
 * ```ts no-run
 * const config = bertFamily.parseConfig(JSON.parse(text));
 * const { encoder } = await loadEncoder(gpu, source, { family: bertFamily, config });
 * ```
 */
export async function loadEncoder<Config extends TransformerConfig>(
  gpu: Gpu,
  source: WeightSource,
  options: LoadEncoderOptions<Config>,
): Promise<LoadedEncoder> {
  const { family, config, onProgress } = options;
  const { found, skipped, problems } = sort(source.entries, family, config);
  if (found.size === 0) {
    const [first = "none"] = family.parameterShapes(config).keys();
    throw new ParameterMismatchError(
      `Cannot build the ${family.title} encoder: no tensor has a known name, such as ${first} or ${family.prefix}${first}; ` +
        `the names are ${excerptOfNames(skipped, 4)}`,
    );
  }
  const shapes = checkEncoderParameters(found, family, { config, problems });
  const rounded = roundedNames(gpu, shapes, options);
  const parameters = new Map<string, Tensor>();
  let staged = 0;
  try {
    for (const [name, shape] of shapes) {
      const entry = { name: found.get(name)!.name, shape };
      const data = await readFloats(source, entry);
      parameters.set(
        name,
        rounded.has(name) ? storeRounded(gpu, { ...options, entry, data }) : tensor(gpu, data, { shape }),
      );
      staged += data.byteLength;
      if (staged > stagedBytes) {
        await gpu.throttle(0);
        staged = 0;
      }
      onProgress?.(parameters.size, shapes.size);
    }
    // Buffers of weights that were in f32 are too large to keep for what comes.
    if (rounded.size > 0) gpu.trim();
    return { encoder: family.create(parameters, config, options), skipped };
  } catch (error) {
    disposeAll([...parameters.values()]);
    throw error;
  }
}

/** The parameters that an encoder stores rounded, by the encoder's names for them. */
function roundedNames<Config extends TransformerConfig>(
  gpu: Gpu,
  shapes: ReadonlyMap<string, Shape>,
  { family, config, pooling, precision = "f32" }: LoadEncoderOptions<Config>,
): Set<string> {
  const names = new Set<string>();
  if (precision === "f32") return names;
  gpu.rehearse(() => {
    const parameters = new Map([...shapes].map(([name, shape]) => [name, zeros(gpu, shape)]));
    const stored = storedParameters(family.create(parameters, config, { pooling }), precision);
    for (const [name, parameter] of parameters) if (stored.has(parameter)) names.add(name);
  });
  return names;
}

/** Uploads a weight in a precision other than f32. */
function storeRounded(
  gpu: Gpu,
  { entry, data, precision = "f32", reopen }:
    & Pick<LoadEncoderOptions<TransformerConfig>, "precision" | "reopen">
    & {
      readonly entry: TensorOfFile;
      readonly data: Float32Array;
    },
): Tensor {
  checkFinite(entry.name, data, precision);
  using whole = tensor(gpu, data, { shape: entry.shape });
  const stored = toPrecision(whole, precision);
  if (reopen !== undefined) stored.original = originalOf(entry, { known: checksum(data), reopen });
  return stored;
}

/** Reads a tensor again, and makes sure that it is what it was. */
function originalOf(
  entry: TensorOfFile,
  { known, reopen }: { readonly known: number; readonly reopen: () => Promise<WeightSource> },
): () => Promise<Float32Array> {
  return async () => {
    const source = await reopen();
    try {
      const data = await readFloats(source, entry);
      if (checksum(data) === known) return data;
      throw new CorruptFileError(
        `Cannot use ${entry.name}: its values have changed since the model was loaded; start again`,
      );
    } finally {
      await source.close();
    }
  };
}

/** FNV-1a over 32-bit words: enough to see that a file was replaced. */
function checksum(data: Float32Array): number {
  const words = new Uint32Array(data.buffer, data.byteOffset, data.length);
  let hash = 0x811c9dc5;
  for (let i = 0; i < words.length; i++) hash = Math.imul(hash ^ words[i]!, 0x01000193);
  return hash >>> 0;
}

/** A tensor by the name it has in its file. */
interface NamedEntry extends WeightEntry {
  readonly name: string;
}

/** Separates the encoder's own tensors, by the encoder's names for them, from those that may be left out. */
function sort<Config extends TransformerConfig>(
  entries: WeightSource["entries"],
  { prefix, parameterShapes }: EncoderFamily<Config>,
  config: Config,
) {
  const known = parameterShapes(config, { pooler: true });
  const prefixed = [...entries.keys()].some((name) => name.startsWith(prefix));
  const found = new Map<string, NamedEntry>();
  const skipped: string[] = [];
  const problems: string[] = [];
  for (const [name, entry] of entries) {
    const own = !prefixed || name.startsWith(prefix);
    const short = own ? modernName(prefixed ? name.slice(prefix.length) : name) : name;
    if (own && known.has(short)) {
      if (found.has(short)) {
        problems.push(`${short} is there twice, as ${found.get(short)!.name} and ${name}`);
      } else if (!readable.includes(entry.dtype)) {
        problems.push(`${name} must be ${readable.join(", ")}, got ${entry.dtype}`);
      }
      found.set(short, { ...entry, name });
    } else skipped.push(name);
  }
  if ([...parameterShapes(config).keys()].some((name) => !found.has(name)) && skipped.length > 0) {
    problems.push(`the files also hold tensors that aren't part of it, ${excerptOfNames(skipped, 4)}`);
  }
  return { found, skipped, problems };
}

/** Layer normalisations once had parameters gamma and beta. */
function modernName(name: string): string {
  return name.replace(/(LayerNorm)\.gamma$/, "$1.weight").replace(/(LayerNorm)\.beta$/, "$1.bias");
}

/** A tensor of a file: its name there, and the shape that it must have. */
interface TensorOfFile {
  readonly name: string;
  readonly shape: Shape;
}

async function readFloats(
  source: WeightSource,
  { name, shape }: TensorOfFile,
): Promise<Float32Array> {
  const stored = await source.read(name);
  const data = toFloat32(stored);
  if (!sameShape(stored.shape, shape)) {
    throw new CorruptFileError(
      `Cannot read ${name}: its shape was ${formatShape(shape)}, got ${formatShape(stored.shape)}`,
    );
  }
  return data;
}

/**
 * A sentence for the user on tensors that a model doesn't use; undefined if there are only buffers, which hold nothing
 * trained.
 */
export function describeSkipped(skipped: readonly string[], source: string): string | undefined {
  const named = skipped.filter((name) => !/(^|\.)(position_ids|token_type_ids)$/.test(name));
  return named.length === 0
    ? undefined
    : `Ignored tensors of ${source} that aren't part of the model: ${excerptOfNames(named, 4)}`;
}
