import { broadcastShapes, broadcastSource, F64Array, sizeOf, sumToShape, take } from "./array.ts";
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
 * `x·weightᵀ + bias` over the last axis of x [..., in]. weight is [out, in] and bias [out], shared by all rows; or
 * [C, out, in] and [C, out], one for each client of x [C, ..., in]. Either may be shared while the other is not.
 */
export function linear(x: F64Array, weight: F64Array, bias?: F64Array): F64Array {
  const rows = clientRows(x, weight, bias);
  const y = matmul(rows, weight, { layout: "NT", ...(bias && { bias: biasRows(bias) }) });
  return reshape(y, [...x.shape.slice(0, -1), weight.shape.at(-2)!]);
}

/** Gradients of `x`, `weight` and, where there is one, `bias` under {@link linear}. */
export function linearGradient(
  x: F64Array,
  weight: F64Array,
  dy: F64Array,
  bias?: F64Array,
): { x: F64Array; weight: F64Array; bias?: F64Array } {
  const rows = clientRows(x, weight, bias);
  const gradient = reshape(dy, rows.shape.with(-1, weight.shape.at(-2)!));
  const result = matmulGradient(rows, weight, gradient, {
    layout: "NT",
    ...(bias && { bias: biasRows(bias) }),
  });
  return {
    x: reshape(result.a, x.shape),
    weight: result.b,
    ...(bias && { bias: reshape(result.bias!, bias.shape) }),
  };
}

/** x as [C, rows, in], with C = 1 where nothing is per client. */
function clientRows(x: F64Array, weight: F64Array, bias: F64Array | undefined): F64Array {
  const clients = weight.shape.length === 3
    ? weight.shape[0]!
    : bias?.shape.length === 2
    ? bias.shape[0]!
    : 1;
  const width = weight.shape.at(-1)!;
  if (x.shape.at(-1) !== width || (clients !== 1 && x.shape[0] !== clients)) {
    throw new TypeError(
      `Cannot apply weights [${weight.shape.join(", ")}] to an input [${x.shape.join(", ")}]`,
    );
  }
  return reshape(x, [clients, sizeOf(x.shape.slice(0, -1)) / clients, width]);
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
