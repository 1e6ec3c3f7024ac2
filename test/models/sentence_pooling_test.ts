import assert from "node:assert/strict";
import { test } from "node:test";
import { readSentencePooling } from "../../src/models/mod.ts";
import { temporaryFiles } from "../support/temporary_files.ts";

const of = async (config: object) =>
  readSentencePooling(await temporaryFiles({ "1_Pooling/config.json": config }));

test("readSentencePooling() reads old and new files of sentence-transformers", async () => {
  // As published with all-MiniLM-L6-v2 and bge-small-en-v1.5, and as sentence-transformers 6 writes.
  assert.equal(
    await of({
      word_embedding_dimension: 384,
      pooling_mode_cls_token: false,
      pooling_mode_mean_tokens: true,
      pooling_mode_max_tokens: false,
      pooling_mode_mean_sqrt_len_tokens: false,
    }),
    "mean",
  );
  assert.equal(await of({ pooling_mode_cls_token: true, pooling_mode_mean_tokens: false }), "cls");
  assert.equal(await of({ embedding_dimension: 384, pooling_mode: "mean", include_prompt: true }), "mean");
  assert.equal(await of({ pooling_mode: ["cls"] }), "cls");
  assert.equal(await readSentencePooling(await temporaryFiles({})), undefined);
});

test("readSentencePooling() refuses what isn't built", async () => {
  const refused = [
    { pooling_mode: "lasttoken" },
    { pooling_mode: ["mean", "max"] },
    { pooling_mode: 3 },
    { pooling_mode_max_tokens: true },
    { pooling_mode_cls_token: true, pooling_mode_mean_tokens: true },
  ];
  for (const config of refused) await assert.rejects(of(config), { name: "ModelConfigError" });
});
