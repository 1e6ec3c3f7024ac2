import { isRecording, record } from "../../autograd.ts";
import { planAttention } from "./attention_plan.ts";
import { formatShape, sizeOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import {
  type Attention,
  type AttentionOptions,
  type AttentionPath,
  type Projections,
  type Rows,
  settle,
} from "./_attention.ts";
import { fusedAttention } from "./_attention_fused.ts";
import { plainAttention } from "./_attention_plain.ts";
import { checkOperands } from "../launch.ts";

export type { AttentionOptions };

/**
 * Multi-head attention softmax(QKᵀ·scale + mask)·V (Vaswani et al., arXiv 1706.03762): q [..., T, H·D], k and
 * v [..., S, H·D] → [..., T, H·D], head h taking columns h·D to (h+1)·D.
 *
 * {@linkcode planAttention} chooses between a fused kernel, whose memory is linear in the lengths, and plain products.
 *
 * @throws {TypeError} when the shapes don't agree, or the heads don't divide the width.
 * @throws {RangeError} when there are no keys.
 */
export function scaledDotProductAttention(
  q: Tensor,
  k: Tensor,
  options: AttentionOptions & { readonly v: Tensor },
): Tensor {
  const { v } = options;
  checkOperands("attend over", options.mask ? [q, k, v, options.mask] : [q, k, v]);
  const width = q.shape.at(-1)!;
  const sequences = sizeOf(q.shape.slice(0, -2));
  const fits = q.ndim >= 2 && k.ndim === q.ndim && formatShape(k.shape) === formatShape(v.shape) &&
    k.shape.at(-1) === width &&
    formatShape(q.shape.slice(0, -2)) === formatShape(k.shape.slice(0, -2));
  if (!fits) {
    throw new TypeError(
      `Cannot attend with q ${formatShape(q.shape)}, k ${formatShape(k.shape)}, v ${
        formatShape(v.shape)
      }: expected [..., T, D], [..., S, D] twice`,
    );
  }
  const lengths = { sequences, queries: q.shape.at(-2)!, keys: k.shape.at(-2)! };
  const settings = settle(q.shape, lengths, options);
  const attention: Attention = { ...views(q, k, v), ...settings, output: empty(q.gpu, q.shape) };
  const { path, saved } = attend(attention, isRecording(q, k, v));
  return record(attention.output, [q, k, v], (dy, wanted, into) => {
    const targets = [q, k, v].map((input, i) => into[wanted.indexOf(i)] ?? empty(q.gpu, input.shape));
    const [dq, dk, dv] = targets as [Tensor, Tensor, Tensor];
    path.gradient(attention, { saved, dy, gradients: views(dq, dk, dv) });
    return wanted.map((i) => targets[i]!);
  });

  function views(q: Tensor, k: Tensor, v: Tensor): Projections {
    const rows = (tensor: Tensor): Rows => ({ tensor, offset: 0, row: width });
    return { q: rows(q), k: rows(k), v: rows(v) };
  }
}

/**
 * Multi-head self-attention on a fused projection qkv [..., T, 3·H·D] whose last axis holds Q, K and V side by side;
 * returns [..., T, H·D]. Nothing is sliced or transposed in memory. Otherwise the same as
 * {@linkcode scaledDotProductAttention}.
 *
 * @throws {TypeError} when the width isn't 3·heads·D.
 * @throws {RangeError} when there are no tokens.
 */
export function selfAttention(qkv: Tensor, options: AttentionOptions): Tensor {
  checkOperands("attend over", options.mask ? [qkv, options.mask] : [qkv]);
  const fused = qkv.shape.at(-1)!;
  if (qkv.ndim < 2 || fused % 3 !== 0) {
    throw new TypeError(
      `Cannot attend over a fused projection of shape ${formatShape(qkv.shape)}: expected [..., T, 3·D]`,
    );
  }
  const width = fused / 3;
  const tokens = qkv.shape.at(-2)!;
  const shape = [...qkv.shape.slice(0, -1), width];
  const lengths = { sequences: sizeOf(qkv.shape.slice(0, -2)), queries: tokens, keys: tokens };
  const settings = settle(shape, lengths, options);
  const attention: Attention = { ...views(qkv), ...settings, output: empty(qkv.gpu, shape) };
  const { path, saved } = attend(attention, isRecording(qkv));
  return record(attention.output, [qkv], [(dy, dqkv = empty(qkv.gpu, qkv.shape)) => {
    path.gradient(attention, { saved, dy, gradients: views(dqkv) });
    return dqkv;
  }]);

  function views(tensor: Tensor): Projections {
    const part = (i: number): Rows => ({ tensor, offset: i * width, row: fused });
    return { q: part(0), k: part(1), v: part(2) };
  }
}

/** Computes the output by the path that {@linkcode planAttention} chooses. */
function attend(attention: Attention, isKept: boolean): { path: AttentionPath; saved: Tensor } {
  const { queries, keys, headSize, sequences, heads, output } = attention;
  const { class: adapterClass, subgroupSize } = output.gpu.adapter;
  const plan = planAttention({
    queries,
    keys,
    headSize,
    matrices: sequences * heads,
    adapterClass,
    ...(subgroupSize !== undefined && { subgroupSize }),
  });
  const path = plan.path === "fused" ? fusedAttention(plan) : plainAttention;
  const saved = path.forward(attention);
  if (!isKept) saved.dispose();
  return { path, saved };
}
