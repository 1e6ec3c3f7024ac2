import assert from "node:assert/strict";
import { test } from "node:test";
import { checkGradient } from "../support/check_gradient.ts";
import { maxAbsDifference } from "../support/compare.ts";
import { gaussian } from "../support/matrices.ts";
import { Random } from "../support/random.ts";
import { F64Array } from "./array.ts";
import { scaledDotProductAttention } from "./attention.ts";
import { relativeAttention, relativeAttentionGradient } from "./relative_attention.ts";

const random = new Random(12);
const row = (distance: number) => Math.min(Math.max(distance + 2, 0), 3);

test("relativeAttention() matches hand-worked values", () => {
  const [q, k] = [F64Array.from([1, 2, 1], [1, 2]), F64Array.from([1, 2, 1], [0, 0])];
  const v = F64Array.from([1, 2, 1], [0, 12]);
  // Rows 1, 2 and 3 stand for the distances −1, 0 and 1. The scores are [0, log 3], [2·log 2, 0].
  const positionKeys = F64Array.from([4, 1], [9, Math.log(3), 0, Math.log(2)]);
  const y = relativeAttention({ q, k, v, positionKeys }, { heads: 1, scale: 1, row });
  assert.ok(maxAbsDifference(y.data, [9, 12 / 5]) < 1e-14);
  // The same by keys that are 1 and positions as queries.
  const other = relativeAttention(
    { q: k, k: F64Array.from([1, 2, 1], [1, 2]), v, positionQueries: positionKeys },
    { heads: 1, scale: 1, row },
  );
  // Scores [0, 2·log 3], [log 2, 0].
  assert.ok(maxAbsDifference(other.data, [12 * 9 / 10, 4]) < 1e-14);
});

test("relativeAttention() without tables equals attention", () => {
  const [q, k, v] = [gaussian([2, 3, 6], random), gaussian([2, 3, 6], random), gaussian([2, 3, 6], random)];
  const mask = gaussian([2, 1, 1, 3], random);
  const expected = scaledDotProductAttention(q, k, v, { heads: 2, scale: 0.4, mask });
  const y = relativeAttention({ q, k, v }, {
    heads: 2,
    scale: 0.4,
    row,
    mask: (sequence, key) => mask.data[3 * sequence + key]!,
  });
  assert.ok(maxAbsDifference(y.data, expected.data) < 1e-14);
});

test("relativeAttentionGradient() matches central differences", () => {
  const inputs = [[2, 3, 4], [2, 3, 4], [2, 3, 4], [4, 4], [2, 4, 4]].map((shape) => gaussian(shape, random));
  const operands = ([q, k, v, positionKeys, positionQueries]: readonly F64Array[]) => ({
    q: q!,
    k: k!,
    v: v!,
    positionKeys,
    positionQueries,
  });
  const options = { heads: 2, scale: 0.5, row };
  checkGradient(
    (...arrays) => relativeAttention(operands(arrays), options),
    (dy) => {
      const { q, k, v, positionKeys, positionQueries } = relativeAttentionGradient(
        operands(inputs),
        dy,
        options,
      );
      return [q, k, v, positionKeys!, positionQueries!];
    },
    inputs,
  );
});
