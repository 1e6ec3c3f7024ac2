import assert from "node:assert/strict";
import { test } from "node:test";
import { roundFlops, secondsToScore } from "../../../bench/comparison/time_to_score.ts";
import { unitRecord } from "../../support/unit_record.ts";

test("roundFlops() counts the way up, the way back and the gradients of what is trained", () => {
  const job = { clientsPerRound: 5, tokensPerRound: 10, linearWeights: 100, weightsPassedBack: 50 };
  assert.equal(roundFlops(job, 7), 2 * 10 * (100 + 50 + 7));
  // Gradients of an embedding's rows are sums: no more than the linear weights are counted.
  assert.equal(roundFlops({ ...job, weightsPassedBack: 100 }, 1e6), 6 * 10 * 100);
});

test("secondsToScore() adds up downloads, steps and uploads until an evaluation reaches the score", () => {
  const record = unitRecord({}, [{ accuracy: 0.5, bytes: 4e6 }, { bytes: 4e6 }, {
    accuracy: 0.9,
    bytes: 4e6,
  }]);
  const options = { flops: 3e9, clientsPerRound: 2, speed: { up: 8e6, down: 16e6, flops: 1e9 } };
  // A client sends 1 MB in 1 s, receives 1 MB in 0.5 s and computes for 3 s.
  assert.equal(secondsToScore(record, { ...options, score: 0.5 }), 4.5);
  assert.equal(secondsToScore(record, { ...options, score: 0.6 }), 13.5);
  assert.equal(secondsToScore(record, { ...options, score: 0.95 }), null);
});
