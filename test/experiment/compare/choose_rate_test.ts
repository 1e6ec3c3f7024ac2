import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseRate } from "../../../src/experiment/compare/choose_rate.ts";
import { unitRecord } from "../../support/unit_record.ts";

/** Records of rates with their accuracy and loss; null where it diverged. */
function records(...given: [rate: number, accuracy: number | null, loss?: number][]) {
  return given.map(([learningRate, accuracy, loss = 1]) =>
    unitRecord({ phase: "tuning", learningRate }, accuracy === null ? null : [{ accuracy, loss }])
  );
}

test("chooseRate() takes the best score, of equal ones the lower loss, then the lower rate", () => {
  const chosen = (...given: Parameters<typeof records>) => chooseRate(records(...given))?.learningRate;
  assert.equal(chosen([0.1, 0.5], [1, 0.9], [10, 0.8]), 1);
  assert.equal(chosen([0.1, 0.9, 0.4], [1, 0.9, 0.3], [10, 0.9, 0.5]), 1);
  assert.equal(chosen([10, 0.9], [1, 0.9], [100, 0.9]), 1);
  assert.equal(chosen([1, null], [2, 0.1]), 2);
  assert.equal(chooseRate(records([1, null], [2, null])), null);
});

test("chooseRate() tells rates within the tolerance of the best apart by their loss", () => {
  const tried = records([0.1, 0.9, 0.5], [1, 0.875, 0.2], [10, 0.75, 0.1]);
  assert.equal(chooseRate(tried, { tolerance: 0.0625 })?.learningRate, 1);
  assert.equal(chooseRate(tried, { tolerance: 0.015625 })?.learningRate, 0.1);
  assert.equal(chooseRate(tried, { tolerance: 0.5 })?.learningRate, 10);
});

test("chooseRate() says where the best rate is at an end of the grid, also where the next one diverged", () => {
  const edge = (...given: Parameters<typeof records>) => chooseRate(records(...given))?.edge;
  assert.equal(edge([1, 0.9], [2, 0.8], [3, 0.7]), "lowest");
  assert.equal(edge([1, 0.7], [2, 0.8], [3, 0.9]), "highest");
  assert.equal(edge([1, 0.7], [2, 0.8], [3, null]), undefined);
  assert.equal(edge([1, 0.7]), undefined);
});
