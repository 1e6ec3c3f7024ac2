import { CorruptFileError } from "../data/errors.ts";
import type { StoredTensor } from "../models/weights/dtype.ts";
import { encodeSafetensors, readSafetensors } from "../models/weights/safetensors.ts";

/** A tensor as it is before and after the wire: row-major float32. */
export interface WireTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** How tensors are coded on the wire. `f32` sends every bit. */
export type WireCodec = "f32";

/** Options of {@linkcode encodePayload}. */
export interface EncodePayloadOptions {
  /** The coding of every tensor in the payload. */
  codec: WireCodec;
}

interface CodecRules {
  encode(tensor: WireTensor): StoredTensor;
  decode(stored: StoredTensor, name: string): WireTensor;
}

const CODECS: ReadonlyMap<string, CodecRules> = new Map<WireCodec, CodecRules>([
  ["f32", {
    encode: ({ shape, data }) => ({ dtype: "F32", shape, data }),
    decode: (stored, name) => {
      if (stored.dtype !== "F32") {
        throw new CorruptFileError(`Cannot decode ${name}: codec f32 sends F32, got ${stored.dtype}`);
      }
      return { shape: stored.shape, data: stored.data };
    },
  }],
]);

/**
 * What a client or the server sends: named tensors as one safetensors file that names its codec. Its length is the
 * traffic that is counted, header included. Equal tensors give equal bytes, whatever the order of the map.
 *
 * @throws {TypeError} if a shape disagrees with its data, or the codec is unknown
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const update = new Map([["loraA", { shape: [1, 2], data: Float32Array.of(0.5, -0) }]]);
 * assert.deepEqual(decodePayload(encodePayload(update, { codec: "f32" })), update);
 * ```
 */
export function encodePayload(
  tensors: ReadonlyMap<string, WireTensor>,
  options: EncodePayloadOptions,
): Uint8Array<ArrayBuffer> {
  const rules = CODECS.get(options.codec);
  if (!rules) throw new TypeError(`Cannot encode a payload: codec must be f32, got ${options.codec}`);
  const stored = new Map([...tensors].map(([name, tensor]) => [name, rules.encode(tensor)]));
  return encodeSafetensors(stored, { codec: options.codec });
}

/**
 * The tensors of a payload, bit for bit as the codec sent them; they may be views of `payload`.
 *
 * @throws {CorruptFileError} if the payload is broken, or names no known codec
 */
export function decodePayload(payload: Uint8Array): Map<string, WireTensor> {
  const { tensors, metadata } = readSafetensors(payload);
  const rules = CODECS.get(metadata["codec"] ?? "");
  if (!rules) {
    throw new CorruptFileError(`Cannot decode a payload: codec must be f32, got ${metadata["codec"]}`);
  }
  return new Map([...tensors].map(([name, stored]) => [name, rules.decode(stored, name)]));
}
