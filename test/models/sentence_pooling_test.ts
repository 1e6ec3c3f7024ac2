import assert from "node:assert/strict";
import { test } from "node:test";
import { readSentenceModules, readSentencePooling } from "../../src/models/mod.ts";
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

test("readSentencePooling() refuses what isn't supported", async () => {
  const refused = [
    { pooling_mode: "lasttoken" },
    { pooling_mode: ["mean", "max"] },
    { pooling_mode: 3 },
    { pooling_mode_max_tokens: true },
    { pooling_mode_cls_token: true, pooling_mode_mean_tokens: true },
  ];
  for (const config of refused) await assert.rejects(of(config), { name: "ModelConfigError" });
});

test("readSentenceModules() finds the pooling by modules.json, and what stands behind it", async () => {
  const module = (path: string, type: string) => ({ path, type: `sentence_transformers.models.${type}` });
  const mean = { pooling_mode: "mean" };
  assert.deepEqual(
    await readSentenceModules(
      await temporaryFiles({
        "modules.json": [
          module("", "Transformer"),
          module("5_Pool", "Pooling"),
          module("6_Dense", "Dense"),
          module("7_Normalize", "Normalize"),
        ],
        "5_Pool/config.json": mean,
        "1_Pooling/config.json": { pooling_mode: "cls" },
      }),
    ),
    { pooling: "mean", file: "5_Pool/config.json", behind: ["6_Dense", "7_Normalize"] },
  );
  assert.deepEqual(await readSentenceModules(await temporaryFiles({ "1_Pooling/config.json": mean })), {
    pooling: "mean",
    file: "1_Pooling/config.json",
    behind: [],
  });
  const odd = await temporaryFiles({ "modules.json": { a: 1 }, "1_Pooling/config.json": mean });
  await assert.rejects(readSentenceModules(odd), {
    message: /modules\.json: it must be a list of JSON objects/,
  });
});

test("readSentenceModules() refuses a model whose file on pooling is missing", async () => {
  const files = await temporaryFiles({
    "modules.json": [{ path: "1_Pooling", type: "sentence_transformers.models.Pooling" }],
  });
  await assert.rejects(readSentenceModules(files), {
    name: "ModelConfigError",
    message: `Cannot pool as modules.json of ${files.source} says: 1_Pooling/config.json is missing`,
  });
});
