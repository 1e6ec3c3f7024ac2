import { F64Array } from "./array.ts";
import { scaledDotProductAttention } from "./attention.ts";
import { UNARY } from "./elementwise.ts";
import { layerNorm } from "./layer_norm.ts";
import { linear } from "./matmul.ts";

/** What {@link bertStates} needs of a configuration. */
export interface BertReferenceConfig {
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly layerNormEps: number;
  readonly hiddenAct: "gelu" | "gelu_new" | "relu" | "silu";
}

/** One text: ids of its tokens and, where they are not all 0, their types. */
export interface BertReferenceText {
  readonly ids: readonly number[];
  readonly types?: readonly number[];
}

const activations = { gelu: UNARY.geluErf, gelu_new: UNARY.geluTanh, relu: UNARY.relu, silu: UNARY.silu };

/**
 * Token states [T, D] of a BERT encoder (Devlin et al. 2018, arXiv:1810.04805) in float64, one text at a time, so that
 * padding and masks do not arise. Parameters are named as in Hugging Face checkpoints.
 */
export function bertStates(
  parameters: ReadonlyMap<string, F64Array>,
  config: BertReferenceConfig,
  { ids, types }: BertReferenceText,
): F64Array {
  const get = (name: string) => {
    const parameter = parameters.get(name);
    if (parameter === undefined) throw new RangeError(`Cannot encode: no parameter ${name}`);
    return parameter;
  };
  const dense = (name: string, x: F64Array) => linear(x, get(`${name}.weight`), get(`${name}.bias`));
  const norm = (name: string, x: F64Array) =>
    layerNorm(x, get(`${name}.LayerNorm.weight`), get(`${name}.LayerNorm.bias`), {
      epsilon: config.layerNormEps,
    });
  const words = get("embeddings.word_embeddings.weight");
  const width = words.shape[1]!;
  const row = (name: string, index: number, j: number) => get(name).data[index * width + j]!;
  const embedded = F64Array.full([ids.length, width]).map((_, at) => {
    const [t, j] = [Math.floor(at / width), at % width];
    return row("embeddings.word_embeddings.weight", ids[t]!, j) +
      row("embeddings.position_embeddings.weight", t, j) +
      row("embeddings.token_type_embeddings.weight", types?.[t] ?? 0, j);
  });
  let x = norm("embeddings", embedded);
  for (let i = 0; i < config.numHiddenLayers; i++) {
    const layer = `encoder.layer.${i}`;
    const [q, k, v] = ["query", "key", "value"].map((each) => dense(`${layer}.attention.self.${each}`, x));
    const mixed = scaledDotProductAttention(q!, k!, v!, { heads: config.numAttentionHeads });
    const attended = norm(
      `${layer}.attention.output`,
      sum(dense(`${layer}.attention.output.dense`, mixed), x),
    );
    const inner = dense(`${layer}.intermediate.dense`, attended).map(activations[config.hiddenAct].forward);
    x = norm(`${layer}.output`, sum(dense(`${layer}.output.dense`, inner), attended));
  }
  return x;
}

/** Pooled vector [D] of token states [T, D]. */
export function bertPooled(
  parameters: ReadonlyMap<string, F64Array>,
  pooling: "mean" | "cls" | "pooler",
  states: F64Array,
): F64Array {
  const [length, width] = states.shape as [number, number];
  const first = F64Array.from([width], states.data.subarray(0, width));
  if (pooling === "cls") return first;
  if (pooling === "mean") {
    return first.map((_, j) => {
      let total = 0;
      for (let t = 0; t < length; t++) total += states.data[t * width + j]!;
      return total / length;
    });
  }
  const weight = parameters.get("pooler.dense.weight")!;
  const pooled = linear(F64Array.from([1, width], first.data), weight, parameters.get("pooler.dense.bias")!);
  return F64Array.from([width], pooled.data.map(Math.tanh));
}

function sum(a: F64Array, b: F64Array): F64Array {
  return a.map((value, i) => value + b.data[i]!);
}
