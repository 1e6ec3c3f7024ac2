/**
 * Writes payloads of every codec, and what they decode to as payloads of codec f32, into a folder:
 *   node scripts/with_gpu.mjs test/interop/payloads/write.ts FOLDER
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import {
  codecConfig,
  type CodecConfigInput,
  createCodec,
  decodePayload,
  f32Codec,
} from "../../../src/fl/mod.ts";
import { Random } from "../../support/random.ts";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new TypeError("Cannot write payloads: expected a folder");
mkdirSync(folder, { recursive: true });

const random = new Random(9);
const values = new Map(
  ([[[7, 33], "loraA"], [[33, 7], "loraB"], [[], "scale"], [[5], "head.ü"]] as const).map(
    ([shape, name]) => {
      const size = shape.reduce<number>((product, extent) => product * extent, 1);
      return [name, { shape, data: Float32Array.from({ length: size }, () => 1e-3 * random.normal()) }];
    },
  ),
);
const choices: CodecConfigInput[] = [
  "f32",
  "f16",
  "bf16",
  "int8",
  "int4",
  { name: "topk", share: 0.01 },
  { name: "topk", share: 0.2 },
];
choices.forEach((choice, i) => {
  const payload = createCodec(codecConfig.parse(choice)).encode(values, { key: [1, i] });
  writeFileSync(join(folder, `${i}.safetensors`), payload);
  writeFileSync(join(folder, `${i}.decoded.safetensors`), f32Codec.encode(decodePayload(payload)));
});
