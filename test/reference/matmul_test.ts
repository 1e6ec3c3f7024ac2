import assert from "node:assert/strict";
import { test } from "node:test";
import { checkGradient } from "../support/check_gradient.ts";
import { gaussian } from "../support/matrices.ts";
import { Random } from "../support/random.ts";
import { F64Array } from "./array.ts";
import { linear, linearGradient, matmul, matmulGradient, type MatmulLayout } from "./matmul.ts";

const random = new Random(3);
const values = (array: F64Array) => [...array.data];

test("matmul() matches a hand-worked product in every layout", () => {
  const a = F64Array.from([2, 3], [1, 2, 3, 4, 5, 6]);
  const b = F64Array.from([3, 2], [7, 8, 9, 10, 11, 12]);
  const [aT, bT] = [F64Array.from([3, 2], [1, 4, 2, 5, 3, 6]), F64Array.from([2, 3], [7, 9, 11, 8, 10, 12])];
  assert.deepEqual(values(matmul(a, b)), [58, 64, 139, 154]);
  assert.deepEqual(values(matmul(a, bT, { layout: "NT" })), [58, 64, 139, 154]);
  assert.deepEqual(values(matmul(aT, b, { layout: "TN" })), [58, 64, 139, 154]);
  assert.deepEqual(values(matmul(a, b, { bias: F64Array.from([2], [1, 2]) })), [59, 66, 140, 156]);
  assert.throws(() => matmul(a, a), TypeError);
});

test("matmul() broadcasts batches", () => {
  const a = F64Array.from([2, 1, 1, 1], [2, 3]);
  const b = F64Array.from([3, 1, 1], [5, 7, 11]);
  const product = matmul(a, b);
  assert.deepEqual(product.shape, [2, 3, 1, 1]);
  assert.deepEqual(values(product), [10, 14, 22, 15, 21, 33]);
  assert.deepEqual(values(matmul(F64Array.full([2, 0]), F64Array.full([0, 2]))), [0, 0, 0, 0]);
});

test("matmulGradient() matches central differences in every layout", () => {
  const shapes: Record<MatmulLayout, [number[], number[]]> = {
    NN: [[2, 1, 3, 4], [3, 4, 5]],
    NT: [[2, 3, 4], [5, 4]],
    TN: [[4, 3], [2, 4, 5]],
  };
  for (const layout of ["NN", "NT", "TN"] as const) {
    const [a, b] = shapes[layout].map((shape) => gaussian(shape, random)) as [F64Array, F64Array];
    const bias = gaussian([5], random);
    checkGradient(
      (x, y, z) => matmul(x!, y!, { layout, bias: z! }),
      (dy) => {
        const result = matmulGradient(a, b, dy, { layout, bias });
        return [result.a, result.b, result.bias!];
      },
      [a, b, bias],
    );
  }
});

test("linear() applies shared and per-client weights", () => {
  const x = F64Array.from([2, 1, 2], [1, 2, 3, 4]);
  const shared = F64Array.from([1, 2], [10, 1]);
  assert.deepEqual(values(linear(x, shared, F64Array.from([1], [5]))), [17, 39]);
  const perClient = F64Array.from([2, 1, 2], [10, 1, 0, 1]);
  const y = linear(x, perClient, F64Array.from([2, 1], [5, 6]));
  assert.deepEqual(y.shape, [2, 1, 1]);
  assert.deepEqual(values(y), [17, 10]);
  assert.deepEqual(values(linear(x, shared, F64Array.from([2, 1], [5, 6]))), [17, 40]);
  assert.throws(() => linear(F64Array.full([3, 1, 2]), perClient), TypeError);
});

test("linearGradient() matches central differences", () => {
  for (const [weightClients, biasClients] of [[[], []], [[2], [2]], [[], [2]], [[2], []]] as const) {
    const x = gaussian([2, 3, 2, 4], random);
    const weight = gaussian([...weightClients, 3, 4], random);
    const bias = gaussian([...biasClients, 3], random);
    checkGradient(
      (a, b, c) => linear(a!, b!, c!),
      (dy) => {
        const result = linearGradient(x, weight, dy, bias);
        return [result.x, result.weight, result.bias!];
      },
      [x, weight, bias],
    );
  }
});
