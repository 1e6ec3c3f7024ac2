import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ColumnData } from "../../../src/models/mod.ts";
import { createTaskSet, packBatches, planBatches } from "../../../src/tasks/mod.ts";
import { tinyTask } from "../../support/tiny_encoder.ts";

const clients = fc.array(fc.nat({ max: 99 }), { minLength: 1, maxLength: 40 });
const options = fc.record({
  batchSize: fc.integer({ min: 1, max: 12 }),
  seed: fc.nat(),
  round: fc.integer({ min: 1, max: 50 }),
  client: fc.nat({ max: 20 }),
});

test("planBatches() passes over every example once an epoch, in batches of which only the last is short", () => {
  fc.assert(fc.property(clients, options, fc.integer({ min: 1, max: 4 }), (examples, rest, epochs) => {
    const plan = planBatches(examples, { ...rest, work: { epochs } });
    const perPass = Math.ceil(examples.length / rest.batchSize);
    assert.equal(plan.length, epochs * perPass);
    for (let pass = 0; pass < epochs; pass++) {
      const batches = plan.slice(pass * perPass, (pass + 1) * perPass);
      assert.deepEqual(batches.flat().sort((a, b) => a - b), [...examples].sort((a, b) => a - b));
      assert.ok(batches.slice(0, -1).every((batch) => batch.length === rest.batchSize));
    }
  }));
});

test("planBatches() gives the number of steps asked for, the same as whole epochs begin with", () => {
  fc.assert(fc.property(clients, options, fc.integer({ min: 1, max: 30 }), (examples, rest, steps) => {
    const plan = planBatches(examples, { ...rest, work: { steps } });
    assert.equal(plan.length, steps);
    assert.ok(plan.every((batch) => batch.length > 0));
    assert.deepEqual(plan, planBatches(examples, { ...rest, work: { epochs: 30 } }).slice(0, steps));
  }));
});

test("planBatches() draws anew by seed, round, client and pass, and leaves its input alone", () => {
  const examples = Array.from({ length: 30 }, (_, i) => i);
  const base = { work: { epochs: 2 }, batchSize: 30, seed: 1, round: 1, client: 1 };
  const orders = [
    ...planBatches(examples, base),
    ...[{ seed: 2 }, { round: 2 }, { client: 2 }].map((change) =>
      planBatches(examples, { ...base, ...change })[0]
    ),
  ];
  assert.equal(new Set(orders.map(String)).size, 5);
  assert.deepEqual(examples, Array.from({ length: 30 }, (_, i) => i));
});

test("packBatches() lays plans side by side: whose rows are whose, and nothing but zeros beside them", () => {
  const data = tinyTask({ size: 50, length: 3 });
  const plans = fc.array(
    fc.array(fc.array(fc.nat({ max: 49 }), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 }),
    { minLength: 1, maxLength: 4 },
  );
  fc.assert(fc.property(plans, (plans) => {
    const batchSize = 4;
    const packed = packBatches(data, plans, batchSize);
    assert.deepEqual([packed.members, packed.inputs.inputIds!.shape, packed.batchSize], [
      plans.length,
      [3],
      batchSize,
    ]);
    assert.equal(packed.steps, Math.max(...plans.map((plan) => plan.length)));
    assert.deepEqual(packed.stepsOf, plans.map((plan) => plan.length));
    for (let step = 0; step < packed.steps; step++) {
      for (let member = 0; member < plans.length; member++) {
        const batch = plans[member]![step] ?? [];
        const at = step * plans.length + member;
        assert.equal(packed.active[at], batch.length > 0 ? 1 : 0);
        for (let i = 0; i < batchSize; i++) {
          const row = at * batchSize + i;
          const example = batch[i];
          const own = (source: ColumnData) =>
            example === undefined ? [0, 0, 0] : [...source.slice(example * 3, example * 3 + 3)];
          assert.deepEqual(
            [...packed.inputs.inputIds!.data.slice(row * 3, row * 3 + 3)],
            own(data.inputs.inputIds!.data),
          );
          assert.deepEqual(
            [...packed.inputs.attentionMask!.data.slice(row * 3, row * 3 + 3)],
            own(data.inputs.attentionMask!.data),
          );
          assert.equal(packed.targets[row], example === undefined ? 0 : data.targets[example]);
          assert.equal(packed.weights[row], example === undefined ? 0 : Math.fround(1 / batch.length));
        }
      }
    }
  }));
});

test("packBatches() lays out types, several targets a row, and their weights by how many count", () => {
  const x = -100;
  const data = createTaskSet({
    batchSize: 3,
    length: 2,
    inputIds: Uint32Array.of(1, 2, 3, 4, 5, 6),
    attentionMask: Float32Array.of(1, 1, 1, 0, 1, 1),
    tokenTypeIds: Uint32Array.of(0, 1, 0, 0, 1, 0),
  }, { targets: Int32Array.of(7, x, 8, 9, x, x) });
  // Two members, of which the second has no second step; its batch has no target that counts.
  const packed = packBatches(data, [[[0, 1], [1]], [[2]]], 2);
  const third = Math.fround(1 / 3);
  assert.deepEqual(
    packed.inputs.tokenTypeIds!.data,
    Uint32Array.of(0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
  );
  assert.deepEqual(
    packed.inputs.inputIds!.data,
    Uint32Array.of(1, 2, 3, 4, 5, 6, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0),
  );
  assert.deepEqual(
    packed.inputs.attentionMask!.data,
    Float32Array.of(1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0),
  );
  assert.deepEqual(packed.targets, Int32Array.of(7, x, 8, 9, x, x, 0, 0, 8, 9, 0, 0, 0, 0, 0, 0));
  assert.deepEqual(
    packed.weights,
    Float32Array.of(third, third, third, third, 0, 0, 0, 0, 0.5, 0.5, 0, 0, 0, 0, 0, 0),
  );
  assert.deepEqual(packed.active, Float32Array.of(1, 1, 1, 0));
  assert.deepEqual(packed.stepsOf, [2, 1]);
});
