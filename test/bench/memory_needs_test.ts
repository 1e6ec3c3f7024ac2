import assert from "node:assert/strict";
import { test } from "node:test";
import { clientBytes } from "../../bench/memory_needs.ts";

test("clientBytes() of MiniLM's shape is what is counted by hand", () => {
  const config = { hiddenSize: 384, intermediateSize: 1536, numHiddenLayers: 6, numAttentionHeads: 12 };
  // Trained: 24 layers of 2·8·384 and a head of 7·385. For each of 256 tokens, layers keep 7·384 + 1536 + 4·8 + 4·12 + 4 = 4308.
  const trained = 24 * 6144 + 2695;
  const kept = 256 * (6 * 4308 + 1536 + 768);
  assert.equal(trained, 150151);
  assert.equal(
    clientBytes({ config, batchSize: 8, length: 32, rank: 8, numClasses: 7 }),
    4 * (4 * trained + kept),
  );
});
