import { empty } from "../../tensor.ts";
import type { Attention, AttentionPath, Rows } from "./_attention.ts";
import { addRelativeScores, relativeGradients } from "./_attention_relative.ts";
import { gemm } from "../matmul/gemm.ts";
import { softmaxForward, softmaxGradient } from "../reduction/softmax.ts";

/** Attention by matrix products and a softmax, which keeps the weights [sequences, heads, queries, keys]. */
export const plainAttention: AttentionPath = {
  forward(attention) {
    const { sequences, heads, queries, keys, headSize, scale, mask, output } = attention;
    const shapes = { batch: [sequences, heads] as const, m: queries };
    const scores = empty(output.gpu, [sequences, heads, queries, keys]);
    gemm({
      ...shapes,
      a: matrices(attention.q, queries, headSize),
      b: matrices(attention.k, keys, headSize),
      c: { tensor: scores, ...scoreView(attention) },
      n: keys,
      k: headSize,
      transposeB: true,
    });
    if (attention.relative) addRelativeScores(attention, scores);
    const weights = softmaxForward(scores, { scale, ...(mask && { mask }) });
    scores.dispose();
    gemm({
      ...shapes,
      a: { tensor: weights, ...scoreView(attention) },
      b: matrices(attention.v, keys, headSize),
      c: matrices({ tensor: output, offset: 0, row: heads * headSize }, queries, headSize),
      n: headSize,
      k: keys,
    });
    return weights;
  },

  gradient(attention, { saved: weights, dy, gradients, tables }) {
    const { sequences, heads, queries, keys, headSize, scale } = attention;
    const batch = [sequences, heads] as const;
    const dOutput = matrices({ tensor: dy, offset: 0, row: heads * headSize }, queries, headSize);
    gemm({
      a: { tensor: weights, ...scoreView(attention) },
      b: dOutput,
      c: matrices(gradients.v, keys, headSize),
      m: keys,
      n: headSize,
      k: queries,
      batch,
      transposeA: true,
      whole: true,
    });
    const dWeights = empty(dy.gpu, weights.shape);
    gemm({
      a: dOutput,
      b: matrices(attention.v, keys, headSize),
      c: { tensor: dWeights, ...scoreView(attention) },
      m: queries,
      n: keys,
      k: headSize,
      batch,
      transposeB: true,
    });
    const dScores = { tensor: softmaxGradient(weights, dWeights, { scale }), ...scoreView(attention) };
    dWeights.dispose();
    gemm({
      a: dScores,
      b: matrices(attention.k, keys, headSize),
      c: matrices(gradients.q, queries, headSize),
      m: queries,
      n: headSize,
      k: keys,
      batch,
    });
    gemm({
      a: dScores,
      b: matrices(attention.q, queries, headSize),
      c: matrices(gradients.k, keys, headSize),
      m: keys,
      n: headSize,
      k: queries,
      batch,
      transposeA: true,
      whole: true,
    });
    if (attention.relative) {
      relativeGradients(attention, { dScores: dScores.tensor, gradients, ...(tables && { tables }) });
    }
    dScores.tensor.dispose();
  },
};

/** One head of every sequence, as a batch of [length, headSize] matrices. */
function matrices({ tensor, offset, row }: Rows, length: number, headSize: number) {
  return { tensor, offset, row, outer: length * row, inner: headSize };
}

function scoreView({ heads, queries, keys }: Attention) {
  return { row: keys, outer: heads * queries * keys, inner: queries * keys };
}
