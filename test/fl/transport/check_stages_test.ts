import assert from "node:assert/strict";
import { test } from "node:test";
import {
  clipUpdates,
  codecConfig,
  type CodecConfigInput,
  createCodec,
  type Stage,
} from "../../../src/fl/mod.ts";
import { checkStages } from "../../../src/fl/transport/check_stages.ts";

const codecOf = (config: CodecConfigInput) => createCodec(codecConfig.parse(config));
const clip = clipUpdates({ norm: 1 });
const masks: Stage = { name: "masks", hidesClients: true, client: (values) => values };
const noise: Stage = { name: "noise", server: (aggregate) => Promise.resolve(aggregate) };

test("checkStages() refuses codecs that would undo what a stage did, and no others", () => {
  for (const stages of [[], [clip], [noise], [clip, noise], [masks]]) checkStages(codecOf("f32"), stages);
  for (
    const name of ["f16", "bf16", "int8", "int4"] as const
  ) {
    checkStages(codecOf(name), [clip, noise]);
  }
  checkStages(codecOf("topk"), [noise]);
  assert.throws(() => checkStages(codecOf("topk"), [clip]), {
    name: "TypeError",
    message: /by codec topk after clip\(1\): .*; take a codec without feedback/,
  });
});
