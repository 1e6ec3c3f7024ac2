import { z } from "zod";
import { readSafetensors, type Safetensors } from "../../models/weights/safetensors.ts";
import type { HostTensor } from "../tensors.ts";
import type { Codec, DecodeOptions } from "./codec.ts";
import { codecConfig, codecs, createCodec } from "./codecs.ts";
import { corruptPayload } from "./_make_codec.ts";

const optionsSchema = z.record(z.string(), z.unknown());

/**
 * The values in a payload, by the codec that it names; they may be views of `payload`. The payload isn't trusted.
 *
 * @throws {CorruptFileError} when it is broken, names no known codec, or holds something else than that codec
 * writes or than is expected.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const update = new Map([["loraA", { shape: [1, 2], data: Float32Array.of(0.5, -0) }]]);
 * assert.deepEqual(decodePayload(f32Codec.encode(update)), update);
 * ```
 */
export function decodePayload(payload: Uint8Array, options: DecodeOptions = {}): Map<string, HostTensor> {
  const file = readSafetensors(payload);
  return codecOf(file).decode(file, options);
}

function codecOf({ metadata }: Safetensors): Codec {
  const name = metadata["codec"];
  if (!codecs.some((kind) => kind.name === name)) {
    const known = codecs.map((kind) => kind.name).join(", ");
    throw corruptPayload(`its codec must be one of ${known}, got ${name ?? "none"}`);
  }
  try {
    const options = optionsSchema.parse(JSON.parse(metadata["options"] ?? "{}"));
    return createCodec(codecConfig.parse({ ...options, name }));
  } catch (cause) {
    throw corruptPayload(`its options don't fit codec ${name}, got ${metadata["options"]}`, { cause });
  }
}
