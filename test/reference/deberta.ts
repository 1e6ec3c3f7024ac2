import { F64Array } from "./array.ts";
import { UNARY } from "./elementwise.ts";
import { layerNorm } from "./layer_norm.ts";
import { linear } from "./matmul.ts";
import { relativeAttention } from "./relative_attention.ts";

/** What {@link debertaStates} needs of a configuration. */
export interface DebertaReferenceConfig {
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly layerNormEps: number;
  readonly posAttType: readonly string[];
  readonly shareAttKey: boolean;
  readonly maxRelativePositions: number;
  readonly positionBuckets: number | undefined;
  readonly convolution: { readonly activation: "tanh" | "gelu" | "relu" } | undefined;
}

/** One text: ids of its tokens and, where they are not all 0, their types. */
export interface DebertaReferenceText {
  readonly ids: readonly number[];
  readonly types?: readonly number[];
}

const activations = { gelu: UNARY.geluErf.forward, relu: UNARY.relu.forward, tanh: Math.tanh };

/**
 * Token states [T, D] of a DeBERTa-v2 encoder (He et al. 2020, arXiv:2006.03654) in float64, one text at a time, so that
 * padding and masks do not arise. Parameters are named as in Hugging Face checkpoints; those that are there are used. Buckets are
 * told by whole thresholds (see {@link bucketOf}), apart from rounding.
 */
export function debertaStates(
  parameters: ReadonlyMap<string, F64Array>,
  config: DebertaReferenceConfig,
  { ids, types }: DebertaReferenceText,
): F64Array {
  const get = (name: string) => {
    const parameter = parameters.get(name);
    if (parameter === undefined) throw new RangeError(`Cannot encode: no parameter ${name}`);
    return parameter;
  };
  const dense = (name: string, x: F64Array) => linear(x, get(`${name}.weight`), get(`${name}.bias`));
  const norm = (name: string, x: F64Array) =>
    layerNorm(x, get(`${name}.weight`), get(`${name}.bias`), { epsilon: config.layerNormEps });
  const width = get("embeddings.word_embeddings.weight").shape[1]!;
  const embeddingOf = (table: string, row: number, j: number) =>
    parameters.get(`embeddings.${table}_embeddings.weight`)?.data[row * width + j] ?? 0;
  const embedded = norm(
    "embeddings.LayerNorm",
    F64Array.full([ids.length, width]).map((_, at) => {
      const [t, j] = [Math.floor(at / width), at % width];
      return embeddingOf("word", ids[t]!, j) + embeddingOf("position", t, j) +
        embeddingOf("token_type", types?.[t] ?? 0, j);
    }),
  );
  const raw = get("encoder.rel_embeddings.weight");
  const table = parameters.has("encoder.LayerNorm.weight") ? norm("encoder.LayerNorm", raw) : raw;
  const span = table.shape[0]! / 2;
  const { posAttType, shareAttKey } = config;
  let x = embedded;
  for (let i = 0; i < config.numHiddenLayers; i++) {
    const layer = `encoder.layer.${i}`;
    const self = `${layer}.attention.self`;
    const [q, k, v] = ["query", "key", "value"].map((each) => {
      const y = dense(`${self}.${each}_proj`, x);
      return F64Array.from([1, ...y.shape], y.data);
    });
    const positionKeys = posAttType.includes("c2p")
      ? dense(`${self}.${shareAttKey ? "key_proj" : "pos_key_proj"}`, table)
      : undefined;
    const positionQueries = posAttType.includes("p2c")
      ? dense(`${self}.${shareAttKey ? "query_proj" : "pos_query_proj"}`, table)
      : undefined;
    const mixed = relativeAttention({ q: q!, k: k!, v: v!, positionKeys, positionQueries }, {
      heads: config.numAttentionHeads,
      scale: 1 / Math.sqrt(width / config.numAttentionHeads * (1 + posAttType.length)),
      row: (distance) => Math.min(Math.max(bucketOf(distance, config) + span, 0), 2 * span - 1),
    });
    const attended = norm(
      `${layer}.attention.output.LayerNorm`,
      sum(dense(`${layer}.attention.output.dense`, F64Array.from(x.shape, mixed.data)), x),
    );
    const inner = dense(`${layer}.intermediate.dense`, attended).map(UNARY.geluErf.forward);
    const output = norm(`${layer}.output.LayerNorm`, sum(dense(`${layer}.output.dense`, inner), attended));
    x = i === 0 && config.convolution
      ? norm(
        "encoder.conv.LayerNorm",
        sum(output, convolve(embedded).map(activations[config.convolution.activation])),
      )
      : output;
  }
  return x;

  function convolve(states: F64Array): F64Array {
    const [weight, bias] = [get("encoder.conv.conv.weight"), get("encoder.conv.conv.bias")];
    const size = weight.shape[2]!;
    return states.map((_, at) => {
      const [t, out] = [Math.floor(at / width), at % width];
      let total = bias.data[out]!;
      for (let s = 0; s < size; s++) {
        const row = t + s - (size - 1) / 2;
        if (row < 0 || row >= ids.length) continue;
        for (let j = 0; j < width; j++) {
          total += weight.data[(out * width + j) * size + s]! * states.data[row * width + j]!;
        }
      }
      return total;
    });
  }
}

/**
 * The bucket of a distance: itself up to half of the buckets; from there bucket half + n ends at the largest distance not
 * above half·((furthest − 1)/half)^(n/(half − 1)).
 */
export function bucketOf(
  distance: number,
  { positionBuckets, maxRelativePositions }: Pick<
    DebertaReferenceConfig,
    "positionBuckets" | "maxRelativePositions"
  >,
): number {
  if (positionBuckets === undefined) return distance;
  const half = Math.floor(positionBuckets / 2);
  const far = Math.abs(distance);
  if (far <= half) return distance;
  if (half === 1) return Math.sign(distance);
  const end = (n: number) => half * ((maxRelativePositions - 1) / half) ** (n / (half - 1));
  let n = 1;
  while (end(n) < far * (1 - 1e-12)) n++;
  return Math.sign(distance) * (half + n);
}

function sum(a: F64Array, b: F64Array): F64Array {
  return a.map((value, i) => value + b.data[i]!);
}
