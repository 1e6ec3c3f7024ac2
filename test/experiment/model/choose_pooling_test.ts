import assert from "node:assert/strict";
import { test } from "node:test";
import { choosePooling, describePooling } from "../../../src/experiment/model/choose_pooling.ts";
import { temporaryFiles } from "../../support/temporary_files.ts";

const title = "BERT";

test("choosePooling() takes what the configuration says, else what a sentence encoder's files do", async () => {
  const files = await temporaryFiles({
    "modules.json": ["Transformer", "Pooling", "Dense"].map((type, i) => ({
      path: i === 0 ? "" : `${i}_${type}`,
      type: `sentence_transformers.models.${type}`,
    })),
    "1_Pooling/config.json": { pooling_mode_mean_tokens: true },
  });
  const read = await choosePooling(files, undefined);
  assert.equal(read.pooling, "mean");
  assert.equal(
    describePooling("mean", read, { title }),
    `Pooling: mean, as 1_Pooling/config.json of ${files.source} says`,
  );
  assert.equal(read.notice, `Ignored modules of ${files.source}, because a new head replaces them: 2_Dense`);
  const given = await choosePooling(files, "cls");
  assert.equal(given.pooling, "cls");
  assert.equal(describePooling("cls", given, { title }), "Pooling: cls, as the configuration says");
});

test("choosePooling() tells of a default prompt and lower case that aren't used", async () => {
  const files = await temporaryFiles({
    "1_Pooling/config.json": { pooling_mode: "cls" },
    "config_sentence_transformers.json": { prompts: { query: "query: " }, default_prompt_name: "query" },
    "sentence_bert_config.json": { max_seq_length: 64, do_lower_case: true },
  });
  assert.equal(
    (await choosePooling(files, undefined)).notice,
    `Texts are read without the default prompt of ${files.source}, "query": write it into them to use it; ` +
      `Texts aren't made lower case beforehand, as do_lower_case in sentence_bert_config.json of ${files.source} asks`,
  );
});

test("choosePooling() leaves it to the checkpoint where nobody says", async () => {
  const choice = await choosePooling(await temporaryFiles({}), undefined);
  assert.deepEqual(choice, { pooling: undefined });
  assert.equal(
    describePooling("pooler", choice, { title }),
    "Pooling: pooler, the checkpoint's own dense layer on the first token's state",
  );
  assert.equal(describePooling("mean", choice, { title }), "Pooling: mean, as the checkpoint has no pooler");
  assert.equal(
    describePooling(undefined, choice, { title: "RoBERTa" }),
    "Pooling: the first token's state through a dense layer, as RoBERTa has for classification",
  );
});

test("choosePooling() refuses another way of pooling, unless the configuration says how", async () => {
  const files = await temporaryFiles({ "1_Pooling/config.json": { pooling_mode: "lasttoken" } });
  await assert.rejects(choosePooling(files, undefined), {
    name: "ModelConfigError",
    message: /expected mean or cls, got \["lasttoken"\]; set "pooling" of "model" to mean, cls or pooler/,
  });
  assert.equal((await choosePooling(files, "mean")).pooling, "mean");
});
