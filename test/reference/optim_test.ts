import assert from "node:assert/strict";
import { test } from "node:test";
import { maxAbsDifference } from "../support/compare.ts";
import { F64Array } from "./array.ts";
import { type AdamWState, adamWStep, clipByClientNorm, type SgdState, sgdStep } from "./optim.ts";

const scalar = (value: number) => F64Array.from([1], [value]);

test("sgdStep() with momentum, Nesterov and weight decay matches hand-worked values", () => {
  const run = (options: { momentum?: number; nesterov?: boolean; weightDecay?: number }) => {
    let state: SgdState = { parameter: scalar(1) };
    for (const gradient of [2, 1]) {
      state = sgdStep(state, scalar(gradient), { learningRate: 0.25, ...options });
    }
    return state.parameter.data[0];
  };
  assert.equal(run({}), 1 - 0.5 - 0.25);
  // Velocity 2, then 0.5·2 + 1 = 2.
  assert.equal(run({ momentum: 0.5 }), 1 - 0.5 - 0.5);
  // Directions 2 + 0.5·2 = 3, then 1 + 0.5·2 = 2.
  assert.equal(run({ momentum: 0.5, nesterov: true }), 1 - 0.75 - 0.5);
  // Gradients 2 + 2·1 = 4 at 1, then 1 + 2·0 = 1 at 0.
  assert.equal(run({ weightDecay: 2 }), 1 - 1 - 0.25);
});

test("adamWStep() matches hand-worked values", () => {
  const options = { learningRate: 0.1, beta1: 0.5, beta2: 0.75, epsilon: 0, weightDecay: 0.5 };
  let state: AdamWState = { parameter: scalar(2) };
  // First step: both means are corrected to g and g², so the direction is the sign of g.
  state = adamWStep(state, scalar(4), options);
  assert.ok(maxAbsDifference(state.parameter!.data, [2 * 0.95 - 0.1]) < 1e-15);
  // Second: mean = (0.5·2 + 0.5·1)/0.75 = 2, square = (0.75·4 + 0.25·1)/(1 − 0.5625) = 3.25/0.4375.
  state = adamWStep(state, scalar(1), options);
  assert.ok(
    maxAbsDifference(state.parameter!.data, [1.8 * 0.95 - 0.1 * 2 / Math.sqrt(3.25 / 0.4375)]) < 1e-15,
  );
  assert.equal(state.step, 2);
});

test("adamWStep() adds epsilon outside the corrected square root", () => {
  const state = adamWStep({ parameter: scalar(0) }, scalar(3), { learningRate: 1, epsilon: 1 });
  assert.ok(maxAbsDifference(state.parameter.data, [-3 / 4]) < 1e-15);
});

test("clipByClientNorm() scales only the clients whose joint norm is too large", () => {
  const gradients = [F64Array.from([2, 1], [3, 0.3]), F64Array.from([2, 2], [4, 0, 0, 0.4])];
  const clipped = clipByClientNorm(gradients, 1);
  assert.ok(maxAbsDifference(clipped.norms, [5, 0.5]) < 1e-15);
  const factor = 1 / (5 + 1e-6);
  assert.deepEqual([...clipped.gradients[0]!.data], [3 * factor, 0.3]);
  assert.deepEqual([...clipped.gradients[1]!.data], [4 * factor, 0, 0, 0.4]);
});
