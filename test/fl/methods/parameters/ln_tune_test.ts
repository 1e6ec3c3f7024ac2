import assert from "node:assert/strict";
import { test } from "node:test";
import { isHead, lnTune } from "../../../../src/fl/mod.ts";
import type { Averaged } from "../../../../src/fl/methods/parts/averaging/averaging.ts";
import { testGpu } from "../../../engine/harness.ts";
import { encoderNames, tinyFamilyClassifier } from "../../../support/tiny_families.ts";

const gpu = await testGpu();

/**
 * 2·d for each normalisation: after the embeddings and twice in each of L = 2 layers of width d = 12. ELECTRA's embeddings are 8 wide,
 * DeBERTa normalises its embeddings of distances too, and USE lite has none after its embeddings: 256 and three of 512.
 */
const expected: Readonly<Record<string, number>> = {
  bert: 2 * 12 * 5,
  roberta: 2 * 12 * 5,
  "xlm-roberta": 2 * 12 * 5,
  distilbert: 2 * 12 * 5,
  electra: 2 * 8 + 2 * 12 * 4,
  "deberta-v2": 2 * 12 * 6,
  "use-lite": 2 * 256 + 2 * 512 * 3,
};

test("lnTune() trains the scales and shifts of all normalisations of every family, beside the head", async () => {
  for (const name of encoderNames) {
    const { state } = await lnTune().init(tinyFamilyClassifier(gpu, name), { seed: 1, numClients: 2 });
    const encoder = [...(state as Averaged).global].filter(([each]) => !isHead(each));
    assert.equal(encoder.reduce((sum, [, { size }]) => sum + size, 0), expected[name], name);
    assert.ok(encoder.every(([each]) => /norm\.(weight|bias)$/i.test(each)), name);
  }
});
