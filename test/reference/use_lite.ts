/** Parameters of Universal Sentence Encoder lite by dotted name, matrices `[out, in]`. */
export type ReferenceParameters = ReadonlyMap<string, { shape: readonly number[]; data: ArrayLike<number> }>;

/** What the encoder computes for one text, row-major float64. */
export interface ReferenceEncoding {
  /** Token states before pooling, `[numTokens, 512]`. */
  states: Float64Array;
  /** Unit sentence vector, `[512]`. */
  vector: Float64Array;
}

const HIDDEN_SIZE = 512;
const NUM_ATTENTION_HEADS = 4;

/**
 * Universal Sentence Encoder lite (Cer et al. 2018, arXiv:1803.11175) in plain float64 loops, one text at a time,
 * so that padding and masks do not arise. The oracle of the GPU model.
 */
export function encodeReference(parameters: ReferenceParameters, ids: ArrayLike<number>): ReferenceEncoding {
  let states = embed(parameters, ids);
  for (const layer of ["layers.0", "layers.1"]) {
    states = transformerLayer(parameters, layer, states, ids.length);
  }
  return { states, vector: pool(parameters, states) };
}

function embed(parameters: ReferenceParameters, ids: ArrayLike<number>): Float64Array {
  const { shape, data } = get(parameters, "embedding.weight");
  const width = shape[1]!;
  const frequencies = get(parameters, "timing.inverseFrequencies").data;
  const out = new Float64Array(ids.length * width);
  for (let t = 0; t < ids.length; t++) {
    for (let i = 0; i < width; i++) {
      const half = width / 2;
      const timing = i < half ? Math.sin(t * frequencies[i]!) : Math.cos(t * frequencies[i - half]!);
      // The graph adds the timing signal to the embedding, and the embedding to that sum once more.
      out[t * width + i] = 2 * data[ids[t]! * width + i]! + timing;
    }
  }
  return out;
}

function transformerLayer(
  parameters: ReferenceParameters,
  layer: string,
  x: Float64Array,
  numTokens: number,
): Float64Array {
  const normed = layerNorm(parameters, `${layer}.attentionNorm`, x);
  const mixed = attention(linear(parameters, `${layer}.attention.qkv`, normed), numTokens);
  const attended = linear(parameters, `${layer}.attention.output`, mixed);
  const residual = parameters.has(`${layer}.residual.weight`)
    ? linear(parameters, `${layer}.residual`, x)
    : x;
  const h = add(residual, attended);
  const inner = linear(
    parameters,
    `${layer}.feedForward.inner`,
    layerNorm(parameters, `${layer}.feedForwardNorm`, h),
  );
  return add(h, linear(parameters, `${layer}.feedForward.outer`, inner.map((value) => Math.max(value, 0))));
}

/** Attention over `[numTokens, 3·width]`: queries, keys and values side by side, heads side by side in each. */
function attention(qkv: Float64Array, numTokens: number): Float64Array {
  const width = numTokens === 0 ? 0 : qkv.length / (3 * numTokens);
  const headSize = width / NUM_ATTENTION_HEADS;
  const out = new Float64Array(numTokens * width);
  for (let head = 0; head < NUM_ATTENTION_HEADS; head++) {
    for (let t = 0; t < numTokens; t++) {
      const scores = new Float64Array(numTokens);
      for (let s = 0; s < numTokens; s++) {
        for (let i = head * headSize; i < (head + 1) * headSize; i++) {
          scores[s]! += qkv[t * 3 * width + i]! * qkv[s * 3 * width + width + i]! / Math.sqrt(headSize);
        }
      }
      const largest = scores.reduce((a, b) => Math.max(a, b));
      const weights = scores.map((score) => Math.exp(score - largest));
      const total = weights.reduce((a, b) => a + b);
      for (let s = 0; s < numTokens; s++) {
        for (let i = head * headSize; i < (head + 1) * headSize; i++) {
          out[t * width + i]! += weights[s]! / total * qkv[s * 3 * width + 2 * width + i]!;
        }
      }
    }
  }
  return out;
}

/** Masked mean over tokens, dense, tanh, unit length; no tokens have mean zero. */
function pool(parameters: ReferenceParameters, states: Float64Array): Float64Array {
  const numTokens = states.length / HIDDEN_SIZE;
  const mean = new Float64Array(HIDDEN_SIZE);
  for (const [index, value] of states.entries()) mean[index % HIDDEN_SIZE]! += value / numTokens;
  const vector = linear(parameters, "pooler", mean).map(Math.tanh);
  const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return vector.map((value) => value / norm);
}

function linear(parameters: ReferenceParameters, name: string, x: Float64Array): Float64Array {
  const { shape, data: weight } = get(parameters, `${name}.weight`);
  const bias = get(parameters, `${name}.bias`).data;
  const [outSize, inSize] = shape as [number, number];
  const rows = x.length / inSize;
  const out = new Float64Array(rows * outSize);
  for (let row = 0; row < rows; row++) {
    for (let o = 0; o < outSize; o++) {
      let sum = bias[o]!;
      for (let i = 0; i < inSize; i++) sum += weight[o * inSize + i]! * x[row * inSize + i]!;
      out[row * outSize + o] = sum;
    }
  }
  return out;
}

function layerNorm(parameters: ReferenceParameters, name: string, x: Float64Array): Float64Array {
  const weight = get(parameters, `${name}.weight`).data;
  const bias = get(parameters, `${name}.bias`).data;
  const width = weight.length;
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += width) {
    const row = x.subarray(start, start + width);
    const mean = row.reduce((a, b) => a + b) / width;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    for (let i = 0; i < width; i++) {
      out[start + i] = (row[i]! - mean) / Math.sqrt(variance + 1e-6) * weight[i]! + bias[i]!;
    }
  }
  return out;
}

function add(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, index) => value + b[index]!);
}

function get(
  parameters: ReferenceParameters,
  name: string,
): { shape: readonly number[]; data: ArrayLike<number> } {
  const parameter = parameters.get(name);
  if (!parameter) throw new RangeError(`Cannot encode: no parameter ${name}`);
  return parameter;
}
