import { F64Array } from "./array.ts";

/** log of {@link softmax}, exact where softmax underflows: (x − max) − log Σ e^(x − max) over the last axis. */
export function logSoftmax(x: F64Array): F64Array {
  return mapRows(x, (row) => {
    const shifted = shiftByMax(row);
    const logTotal = Math.log(sumExp(shifted));
    return shifted.map((value) => value - logTotal);
  });
}

/** Gradient of {@link logSoftmax}: dy − softmax(x)·Σ dy. */
export function logSoftmaxGradient(x: F64Array, dy: F64Array): F64Array {
  const y = softmax(x);
  return mapRows(dy, (row, start) => {
    const total = row.reduce((sum, value) => sum + value, 0);
    return row.map((value, i) => value - y.data[start + i]! * total);
  });
}

/** e^(x − max) / Σ e^(x − max) over the last axis. */
export function softmax(x: F64Array): F64Array {
  return mapRows(x, (row) => {
    const shifted = shiftByMax(row);
    const total = sumExp(shifted);
    return shifted.map((value) => Math.exp(value) / total);
  });
}

/** Gradient of {@link softmax}: y·(dy − Σ y·dy). */
export function softmaxGradient(x: F64Array, dy: F64Array): F64Array {
  const y = softmax(x);
  return mapRows(dy, (row, start) => {
    const dot = row.reduce((sum, value, i) => sum + value * y.data[start + i]!, 0);
    return row.map((value, i) => y.data[start + i]! * (value - dot));
  });
}

/** Maps each run along the last axis; `start` is its first flat index. */
export function mapRows(x: F64Array, f: (row: Float64Array, start: number) => Float64Array): F64Array {
  const result = F64Array.full(x.shape);
  const length = x.shape.at(-1)!;
  for (let start = 0; start < x.size; start += length) {
    result.data.set(f(x.data.subarray(start, start + length), start), start);
  }
  return result;
}

/** Subtracting first keeps log Σ from being absorbed by a huge maximum. */
function shiftByMax(row: Float64Array): Float64Array {
  const max = row.reduce((largest, value) => Math.max(largest, value), -Infinity);
  return row.map((value) => value - max);
}

function sumExp(values: Float64Array): number {
  return values.reduce((sum, value) => sum + Math.exp(value), 0);
}
