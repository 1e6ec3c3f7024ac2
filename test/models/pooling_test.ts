import assert from "node:assert/strict";
import { test } from "node:test";
import { tensor } from "../../src/engine/mod.ts";
import { meanPool } from "../../src/models/mod.ts";
import { run, testGpu } from "../engine/harness.ts";

const gpu = await testGpu();

test("meanPool() averages what the mask keeps, and a text without tokens has the mean 0", async () => {
  const states = tensor(gpu, [1, 2, 3, 5, 100, -7, 4, 8, 9, 9, 9, 9], { shape: [2, 1, 3, 2] });
  const attentionMask = tensor(gpu, [1, 1, 0, 0, 0, 0], { shape: [2, 1, 3] });
  // (1 + 3)/2 and (2 + 5)/2.
  assert.deepEqual(await run(gpu, () => meanPool(states, attentionMask)), Float32Array.of(2, 3.5, 0, 0));
});
