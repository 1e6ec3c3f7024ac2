import { z } from "zod";
import { roundFloat, type Tensor } from "../../engine/mod.ts";
import { type StoredTensor, toFloat32 } from "../../models/weights/dtype.ts";
import type { CodecKind, KeylessCodec } from "./codec.ts";
import { makeCodec } from "./_make_codec.ts";
import { toBf16, toF16 } from "./short_floats.ts";

interface Format {
  readonly name: string;
  readonly dtype: "F32" | "F16" | "BF16";
  store(data: Float32Array): StoredTensor["data"];
  transmit(x: Tensor): Tensor;
}

function floatCodec({ name, dtype, store, transmit }: Format): KeylessCodec {
  const codec = makeCodec({
    name,
    lossless: dtype === "F32",
    feedback: false,
    joined: false,
    entries: (shapes) => new Map([...shapes].map(([name, shape]) => [name, { dtype, shape }])),
    store: (values) => new Map([...values].map(([name, { data }]) => [name, store(data)])),
    load: (tensors) =>
      new Map([...tensors].map(([name, stored]) => [name, { shape: stored.shape, data: toFloat32(stored) }])),
    transmit: (values) => new Map([...values].map(([name, x]) => [name, transmit(x)])),
  });
  return { ...codec, encode: (values, options = { key: [0, 0] }) => codec.encode(values, options) };
}

/** Sends every bit. */
export const f32Codec: KeylessCodec = floatCodec({
  name: "f32",
  dtype: "F32",
  store: (data) => data,
  transmit: (x) => x.detach(),
});

const f16Codec = floatCodec({
  name: "f16",
  dtype: "F16",
  store: toF16,
  transmit: (x) => roundFloat(x, "f16"),
});

const bf16Codec = floatCodec({
  name: "bf16",
  dtype: "BF16",
  store: toBf16,
  transmit: (x) => roundFloat(x, "bf16"),
});

const f32Schema = z.strictObject({ name: z.literal("f32") });
const f16Schema = z.strictObject({ name: z.literal("f16") });
const bf16Schema = z.strictObject({ name: z.literal("bf16") });

/** The choice `f32`. */
export const f32: CodecKind<typeof f32Schema> = {
  name: "f32",
  summary: "every bit",
  schema: f32Schema,
  create: () => f32Codec,
};

/** The choice `f16`. */
export const f16: CodecKind<typeof f16Schema> = {
  name: "f16",
  summary:
    "the nearest number in half precision, at most 65504: 11 bits from 2^-14 on, multiples of 2^-24 below",
  schema: f16Schema,
  create: () => f16Codec,
};

/** The choice `bf16`. */
export const bf16: CodecKind<typeof bf16Schema> = {
  name: "bf16",
  summary: "the nearest bfloat16: 8 bits, the range of f32",
  schema: bf16Schema,
  create: () => bf16Codec,
};
