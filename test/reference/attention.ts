import { F64Array } from "./array.ts";
import { binary } from "./elementwise.ts";
import { matmul } from "./matmul.ts";
import { permute, reshape } from "./shape.ts";
import { softmax, softmaxGradient } from "./softmax.ts";

/** Options of {@link scaledDotProductAttention}. */
export interface AttentionOptions {
  /** Added to the scores; broadcast to [..., Tq, Tk], or to [..., H, Tq, Tk] with `heads`. */
  readonly mask?: F64Array;
  /** Multiplies q·kᵀ; 1/√(width of a head) by default. */
  readonly scale?: number;
  /** With it the operands are [..., T, H·D] and are split into heads; without it they are taken as they are. */
  readonly heads?: number;
}

/**
 * softmax(scale·q·kᵀ + mask)·v (Vaswani et al. 2017, eq. 1) for q [..., Tq, D], k [..., Tk, D] and v [..., Tk, Dv],
 * equal in their leading axes.
 */
export function scaledDotProductAttention(
  q: F64Array,
  k: F64Array,
  v: F64Array,
  options: AttentionOptions = {},
): F64Array {
  const { heads } = options;
  const [query, key, value] = [q, k, v].map((x) => splitHeads(x, heads)) as [F64Array, F64Array, F64Array];
  return mergeHeads(matmul(softmax(scores(query, key, options)), value), heads);
}

/** Gradients of `q`, `k` and `v` under {@link scaledDotProductAttention}. */
export function scaledDotProductAttentionGradient(
  q: F64Array,
  k: F64Array,
  v: F64Array,
  dy: F64Array,
  options: AttentionOptions = {},
): { q: F64Array; k: F64Array; v: F64Array } {
  const { heads } = options;
  const [query, key, value] = [q, k, v].map((x) => splitHeads(x, heads)) as [F64Array, F64Array, F64Array];
  const gradient = splitHeads(dy, heads);
  const raw = scores(query, key, options);
  const dScores = softmaxGradient(raw, matmul(gradient, value, { layout: "NT" }));
  const dProduct = dScores.map((score) => score * scaleOf(query, options));
  return {
    q: mergeHeads(matmul(dProduct, key), heads),
    k: mergeHeads(matmul(dProduct, query, { layout: "TN" }), heads),
    v: mergeHeads(matmul(softmax(raw), gradient, { layout: "TN" }), heads),
  };
}

function scores(query: F64Array, key: F64Array, options: AttentionOptions): F64Array {
  const scale = scaleOf(query, options);
  const scaled = matmul(query, key, { layout: "NT" }).map((value) => value * scale);
  return options.mask === undefined ? scaled : binary("add", scaled, options.mask);
}

function scaleOf(query: F64Array, options: AttentionOptions): number {
  return options.scale ?? 1 / Math.sqrt(query.shape.at(-1)!);
}

/** [..., T, H·D] → [..., H, T, D]. */
function splitHeads(x: F64Array, heads: number | undefined): F64Array {
  if (heads === undefined) return x;
  return swapHeads(reshape(x, [...x.shape.slice(0, -1), heads, x.shape.at(-1)! / heads]));
}

/** [..., H, T, D] → [..., T, H·D]. */
function mergeHeads(x: F64Array, heads: number | undefined): F64Array {
  if (heads === undefined) return x;
  const swapped = swapHeads(x);
  return reshape(swapped, [...swapped.shape.slice(0, -2), heads * x.shape.at(-1)!]);
}

function swapHeads(x: F64Array): F64Array {
  const ndim = x.shape.length;
  return permute(x, [...[...x.shape.keys()].slice(0, -3), ndim - 2, ndim - 3, ndim - 1]);
}
