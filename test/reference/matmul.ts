import { broadcastShapes, broadcastSource, F64Array, sumToShape, take } from "./array.ts";
import { binary } from "./elementwise.ts";
import { reshape, transpose } from "./shape.ts";

/** How the operands of {@link matmul} lie in memory: T marks one that is stored transposed. */
export type MatmulLayout = "NN" | "NT" | "TN";

/** Options of {@link matmul}. */
export interface MatmulOptions {
  /** `NN`: [M, K]·[K, N]; `NT`: [M, K]·[N, K]ᵀ; `TN`: [K, M]ᵀ·[K, N]. `NN` by default. */
  readonly layout?: MatmulLayout;
  /** Added to the product; broadcast to it by the usual rule. */
  readonly bias?: F64Array;
}

/** Product over the last two axes; leading axes are batches and broadcast. */
export function matmul(a: F64Array, b: F64Array, options: MatmulOptions = {}): F64Array {
  const { layout = "NN", bias } = options;
  const product = multiply(layout === "TN" ? transpose(a) : a, layout === "NT" ? transpose(b) : b);
  return bias === undefined ? product : binary("add", product, bias);
}

/** Gradients of `a`, `b` and, where there is one, `bias` under {@link matmul}. */
export function matmulGradient(
  a: F64Array,
  b: F64Array,
  dy: F64Array,
  options: MatmulOptions = {},
): { a: F64Array; b: F64Array; bias?: F64Array } {
  const { layout = "NN", bias } = options;
  const left = layout === "TN" ? transpose(a) : a;
  const right = layout === "NT" ? transpose(b) : b;
  const dLeft = sumToShape(multiply(dy, transpose(right)), left.shape);
  const dRight = sumToShape(multiply(transpose(left), dy), right.shape);
  return {
    a: layout === "TN" ? transpose(dLeft) : dLeft,
    b: layout === "NT" ? transpose(dRight) : dRight,
    ...(bias && { bias: sumToShape(dy, bias.shape) }),
  };
}

/**
 * `x·weightᵀ + bias`. Shared weights: x [..., in], weight [out, in], bias [out]. Per-client weights: x [C, ..., in],
 * weight [C, out, in], bias [C, out].
 */
export function linear(x: F64Array, weight: F64Array, bias?: F64Array): F64Array {
  const flat = flatten(x, weight);
  const y = matmul(flat, weight, { layout: "NT", ...(bias && { bias: biasRows(bias) }) });
  return reshape(y, [...x.shape.slice(0, -1), weight.shape.at(-2)!]);
}

/** Gradients of `x`, `weight` and, where there is one, `bias` under {@link linear}. */
export function linearGradient(
  x: F64Array,
  weight: F64Array,
  dy: F64Array,
  bias?: F64Array,
): { x: F64Array; weight: F64Array; bias?: F64Array } {
  const flat = flatten(x, weight);
  const gradient = reshape(dy, flat.shape.with(-1, weight.shape.at(-2)!));
  const result = matmulGradient(flat, weight, gradient, {
    layout: "NT",
    ...(bias && { bias: biasRows(bias) }),
  });
  return {
    x: reshape(result.a, x.shape),
    weight: result.b,
    ...(bias && { bias: reshape(result.bias!, bias.shape) }),
  };
}

/** [rows, in] for shared weights, [C, rows, in] for per-client ones. */
function flatten(x: F64Array, weight: F64Array): F64Array {
  const [inputs, clients] = [weight.shape.at(-1)!, weight.shape.slice(0, -2)];
  if (x.shape.at(-1) !== inputs || clients.some((count) => x.shape[0] !== count)) {
    throw new TypeError(
      `Cannot apply weights [${weight.shape.join(", ")}] to an input [${x.shape.join(", ")}]`,
    );
  }
  const rows = x.shape.slice(clients.length, -1).reduce((product, extent) => product * extent, 1);
  return reshape(x, [...clients, rows, inputs]);
}

function biasRows(bias: F64Array): F64Array {
  return reshape(bias, [...bias.shape.slice(0, -1), 1, bias.shape.at(-1)!]);
}

function multiply(a: F64Array, b: F64Array): F64Array {
  const [m, k, n] = [a.shape.at(-2)!, a.shape.at(-1)!, b.shape.at(-1)!];
  if (k !== b.shape.at(-2)) {
    throw new TypeError(
      `Cannot multiply matrices: inner dimensions must agree, got [${a.shape.join(", ")}] and [${
        b.shape.join(", ")
      }]`,
    );
  }
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const left = broadcastBatch(a, batch);
  const right = broadcastBatch(b, batch);
  const result = F64Array.full([...batch, m, n]);
  for (let row = 0; row < result.size / Math.max(n, 1); row++) {
    const rightStart = Math.floor(row / m) * k * n;
    for (let i = 0; i < k; i++) {
      const factor = left.data[row * k + i]!;
      for (let j = 0; j < n; j++) result.data[row * n + j]! += factor * right.data[rightStart + i * n + j]!;
    }
  }
  return result;
}

function broadcastBatch(x: F64Array, batch: readonly number[]): F64Array {
  const shape = [...batch, ...x.shape.slice(-2)];
  return String(shape) === String(x.shape) ? x : take(x, shape, broadcastSource(x.shape, shape));
}
