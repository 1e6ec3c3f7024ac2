import assert from "node:assert/strict";
import { test } from "node:test";
import { spreadOf } from "../../../src/fl/client/client_scores.ts";

test("spreadOf() gives mean, worst tenth and deviation over clients", () => {
  // 0.05, 0.1, …, 0.6: 12 clients, so the worst tenth is two.
  const evaluations = Array.from(
    { length: 12 },
    (_, k) => ({ loss: 1, scores: { f1: (12 - k) / 20, error: k } }),
  );
  const { numClients, scores } = spreadOf(evaluations, { lowerIsBetter: ["error"] });
  assert.equal(numClients, 12);
  const close = (found: number, wanted: number) =>
    assert.ok(Math.abs(found - wanted) < 1e-12, `${found}, ${wanted}`);
  close(scores["f1"]!.mean, 0.325);
  close(scores["f1"]!.worstDecile, 0.075);
  // Of 1 … 12: √((12² − 1)/12), in twentieths.
  close(scores["f1"]!.deviation, Math.sqrt(143 / 12) / 20);
  // Of errors the largest are the worst.
  close(scores["error"]!.worstDecile, 10.5);
});

test("spreadOf() leaves clients out that have no such score, and refuses none at all", () => {
  const { scores } = spreadOf([{ loss: 1, scores: { a: 1 } }, { loss: 1, scores: { a: 0, b: 0.5 } }], {});
  assert.deepEqual(scores["b"], { mean: 0.5, worstDecile: 0.5, deviation: 0 });
  assert.deepEqual(scores["a"], { mean: 0.5, worstDecile: 0, deviation: 0.5 });
  assert.throws(() => spreadOf([], {}), { name: "RangeError" });
});
