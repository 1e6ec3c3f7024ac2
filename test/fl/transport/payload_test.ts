import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CorruptFileError } from "../../../src/data/errors.ts";
import { type HostTensor, type HostTensors, shapesOf } from "../../../src/fl/tensors.ts";
import { codecConfig, type CodecConfigInput, createCodec, f32Codec } from "../../../src/fl/transport/mod.ts";
import { decodePayload } from "../../../src/fl/transport/payload.ts";
import type { StoredTensor } from "../../../src/models/weights/dtype.ts";
import { encodeSafetensors, readSafetensors } from "../../../src/models/weights/safetensors.ts";
import { bitsOf } from "../../engine/harness.ts";
import { anyFloats } from "../../support/arbitraries.ts";
import { Random } from "../../support/random.ts";

const key = [1, 2] as const;
const codecOf = (config: CodecConfigInput) => createCodec(codecConfig.parse(config));
const vector = (...values: number[]): HostTensor => ({
  shape: [values.length],
  data: Float32Array.from(values),
});
const named = (tensors: Record<string, HostTensor>): HostTensors => new Map(Object.entries(tensors));

/** What stands in a payload, as plain values. */
function contentOf(payload: Uint8Array): Record<string, unknown> {
  const { tensors, metadata } = readSafetensors(payload);
  const stored = [...tensors].map(([name, { dtype, shape, data }]) => [name, [dtype, shape, [...data]]]);
  return { ...metadata, ...Object.fromEntries(stored) };
}

const tensors = fc.dictionary(
  fc.string().filter((name) => !name.startsWith("__")),
  fc.nat({ max: 5 }).chain((rows) =>
    anyFloats(3 * rows).map((data): HostTensor => ({ shape: [rows, 3], data }))
  ),
).map(named);

const bits = (map: HostTensors): unknown =>
  Object.fromEntries([...map].map(([name, { shape, data }]) => [name, [shape, [...bitsOf(data)]]]));

describe("encode()", () => {
  it("codec f32 keeps every bit of finite numbers, whatever the names", () => {
    fc.assert(fc.property(tensors, (values) => {
      const payload = f32Codec.encode(values);
      assert.deepEqual(bits(decodePayload(payload)), bits(values));
      assert.deepEqual(f32Codec.encode(new Map([...values].reverse())), payload);
    }));
  });

  it("codec f32 costs the header and four bytes a value", () => {
    // 8 for the length; {"__metadata__":{"codec":"f32"},"A":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}
    // has 87 characters, padded to 88; 6 values of 4 bytes.
    const values = named({ A: { shape: [2, 3], data: new Float32Array(6) } });
    assert.equal(f32Codec.encode(values).byteLength, 8 + 88 + 24);
    assert.equal(f32Codec.payloadBytes(new Map([["A", [2, 3]]])), 8 + 88 + 24);
  });

  it("codecs f16 and bf16 send the tensors under their names", () => {
    // 1/3 = 1.0101010101|0101… · 2^-2 in binary: f16 has the ten bits before the bar; bf16 cuts at 1.0101010|1010…, and rounds up.
    const values = named({ a: vector(1 / 3, -65504), b: { shape: [], data: Float32Array.of(-0) } });
    assert.deepEqual(contentOf(codecOf("f16").encode(values, { key })), {
      codec: "f16",
      a: ["F16", [2], [0x3555, 0xfbff]],
      b: ["F16", [], [0x8000]],
    });
    assert.deepEqual(contentOf(codecOf("bf16").encode(values, { key })), {
      codec: "bf16",
      a: ["BF16", [2], [0x3eab, 0xc780]],
      b: ["BF16", [], [0x8000]],
    });
  });

  it("codecs int8 and int4 send levels and a scale a row", () => {
    // Every value is a whole multiple of its row's scale/127, or scale/7, so nothing is left to chance.
    const a = { shape: [2, 3], data: Float32Array.of(127, -5, 0, 0, 0, -0) };
    assert.deepEqual(contentOf(codecOf("int8").encode(named({ b: vector(-0.5), a }), { key })), {
      codec: "int8",
      shapes: '[["a",[2,3]],["b",[1]]]',
      levels: ["I8", [7], [127, -5, 0, 0, 0, 0, -127]],
      scales: ["F32", [3], [127, 0, 0.5]],
    });
    // −7 is 9 in four bits; two to a byte, the first one low.
    assert.deepEqual(contentOf(codecOf("int4").encode(named({ a: vector(14, -14, 6, 0, 2) }), { key })), {
      codec: "int4",
      shapes: '[["a",[5]]]',
      levels: ["U8", [3], [0x97, 0x03, 0x01]],
      scales: ["F32", [1], [14]],
    });
  });

  it("codec topk sends the largest of all tensors, the first of equal ones, and where they stand", () => {
    const values = named({ b: vector(3, -1), a: vector(0.5, -3, 2) });
    // In the order a, b the magnitudes are 0.5, 3, 2, 3, 1. Five bits take less than two indices.
    const two = codecOf({ name: "topk", share: 0.4 }).encode(values, { key });
    assert.deepEqual(contentOf(two), {
      codec: "topk",
      options: '{"share":0.4}',
      shapes: '[["a",[3]],["b",[2]]]',
      mask: ["U8", [1], [0b01010]],
      values: ["F32", [2], [-3, 3]],
    });
    assert.deepEqual(decodePayload(two), named({ a: vector(0, -3, 0), b: vector(3, 0) }));
    const one = codecOf({ name: "topk", share: 0.2 }).encode(values, { key });
    assert.deepEqual(decodePayload(one), named({ a: vector(0, -3, 0), b: vector(0, 0) }));
    // 64 bits take more than one index of 4 bytes.
    const many = vector(...Array.from({ length: 64 }, (_, i) => i === 40 ? -7 : 1));
    const few = contentOf(codecOf("topk").encode(named({ a: many }), { key }));
    assert.deepEqual([few["indices"], few["values"]], [["U32", [1], [40]], ["F32", [1], [-7]]]);
  });

  it("codec topk keeps at least one value, and a whole product of share and size as it is", () => {
    const kept = (share: number, size: number) => {
      const values = named({ a: vector(...Array.from({ length: size }, (_, i) => 1 + i)) });
      return decodePayload(codecOf({ name: "topk", share }).encode(values, { key })).get("a")!.data
        .filter((value) => value !== 0).length;
    };
    // 0.07 · 100 is 7.000000000000001 in float64.
    assert.deepEqual([kept(1e-9, 5), kept(0.07, 100), kept(0.07, 101), kept(1, 3)], [1, 7, 8, 3]);
  });
});

describe("decodePayload()", () => {
  const file = (metadata: Record<string, string>, tensors: Record<string, StoredTensor>) =>
    encodeSafetensors(new Map(Object.entries(tensors)), metadata);
  const refuses = (payload: Uint8Array, message: RegExp) =>
    assert.throws(() => decodePayload(payload), (error: Error) => {
      assert.ok(error instanceof CorruptFileError, String(error));
      assert.match(error.message, message);
      return true;
    });
  const f32 = (...values: number[]): StoredTensor => ({
    dtype: "F32",
    shape: [values.length],
    data: Float32Array.from(values),
  });
  const i8 = (...values: number[]): StoredTensor => ({
    dtype: "I8",
    shape: [values.length],
    data: Int8Array.from(values),
  });
  const u8 = (...values: number[]): StoredTensor => ({
    dtype: "U8",
    shape: [values.length],
    data: Uint8Array.from(values),
  });
  const u32 = (...values: number[]): StoredTensor => ({
    dtype: "U32",
    shape: [values.length],
    data: Uint32Array.from(values),
  });

  it("refuses broken files and unknown codecs", () => {
    const payload = f32Codec.encode(named({ A: vector(1, 2) }));
    refuses(payload.subarray(0, -1), /safetensors/);
    refuses(file({}, { A: f32(1) }), /one of f32, f16, bf16, int8, int4, topk, got none/);
    refuses(file({ codec: "int9" }, { A: f32(1) }), /got int9/);
    refuses(file({ codec: "f32", options: '{"share":1}' }, { A: f32(1) }), /options don't fit codec f32/);
    refuses(file({ codec: "topk", options: "{" }, {}), /options don't fit codec topk, got \{/);
    refuses(file({ codec: "topk", options: '{"share":2}' }, {}), /options don't fit codec topk/);
  });

  it("refuses NaN and infinity, and what the codec doesn't write", () => {
    refuses(file({ codec: "f32" }, { A: f32(1, NaN) }), /"A" holds NaN/);
    refuses(file({ codec: "f32" }, { A: i8(1) }), /codec f32 sends F32 \[1\] as "A", got I8 \[1\]/);
    const half: StoredTensor = { dtype: "F16", shape: [1], data: Uint16Array.of(0x7c00) };
    refuses(file({ codec: "f16" }, { A: half }), /"A" holds Infinity/);
    refuses(file({ codec: "bf16" }, { A: half }), /codec bf16 sends BF16/);
  });

  it("refuses levels, scales and shapes that no row has", () => {
    const int8 = (shapes: string | undefined, tensors: Record<string, StoredTensor>) =>
      file({ codec: "int8", ...(shapes !== undefined && { shapes }) }, tensors);
    const good = '[["A",[2]]]';
    assert.deepEqual(
      decodePayload(int8(good, { levels: i8(127, 0), scales: f32(2) })),
      named({ A: vector(2, 0) }),
    );
    refuses(int8(undefined, { levels: i8(), scales: f32() }), /must list names and shapes/);
    refuses(int8('[["A",[-2]]]', { levels: i8(), scales: f32() }), /must list names and shapes/);
    refuses(int8('[["A",[1]],["A",[1]]]', { levels: i8(1, 1), scales: f32(1, 1) }), /a name twice/);
    refuses(int8('[["A",[9007199254740991,9]]]', { levels: i8(), scales: f32() }), /too large/);
    refuses(int8(good, { levels: i8(1), scales: f32(1) }), /sends I8 \[2\] as "levels", got I8 \[1\]/);
    refuses(int8(good, { levels: i8(1, 1) }), /sends F32 \[1\] as "scales", got nothing/);
    refuses(int8(good, { levels: i8(1, 1), scales: f32(1), more: f32(1) }), /sends nothing as "more"/);
    refuses(int8(good, { levels: i8(1, -128), scales: f32(1) }), /-127 to 127, got -128/);
    for (const scale of [-1, NaN]) refuses(int8(good, { levels: i8(1, 1), scales: f32(scale) }), /0 or more/);
    refuses(int8(good, { levels: i8(1, 0), scales: f32(Infinity) }), /"A" holds Infinity/);
    const int4 = (...levels: number[]) =>
      file({ codec: "int4", shapes: '[["A",[1]]]' }, { levels: u8(...levels), scales: f32(1) });
    assert.deepEqual(decodePayload(int4(0x07)), named({ A: vector(1) }));
    refuses(int4(0x17), /last half byte must be 0/);
    refuses(int4(0x08), /-7 to 7, got -8/);
  });

  it("refuses names and shapes that aren't expected, before it takes memory for them", () => {
    const values = named({ A: vector(1, 2) });
    for (const codec of ["f32", "f16", "bf16", "int8", "int4", "topk"] as const) {
      const payload = codecOf(codec).encode(values, { key });
      assert.equal(decodePayload(payload, { expected: new Map([["A", [2]]]) }).get("A")!.data.length, 2);
      for (
        const [expected, message] of [
          [new Map([["A", [1, 2]]]), /expected \[1, 2\] as "A", got \[2\]/],
          [new Map([["A", [2]], ["B", []]]), /expected \[\] as "B", got nothing/],
          [new Map(), /expected nothing as "A"/],
        ] as const
      ) {
        assert.throws(() => decodePayload(payload, { expected }), { name: "CorruptFileError", message });
      }
    }
    const bomb = file({ codec: "topk", options: '{"share":1e-300}', shapes: '[["A",[9007199254740991]]]' }, {
      indices: u32(0),
      values: f32(1),
    });
    assert.throws(() => decodePayload(bomb, { expected: new Map([["A", [2]]]) }), {
      name: "CorruptFileError",
      message: /expected \[2\] as "A", got \[9007199254740991\]/,
    });
  });

  it("reads damaged payloads as what they say or refuses them as corrupt, whatever the damage", () => {
    const values = named({
      A: vector(1, -2, 0.25),
      "layer.B": { shape: [2, 2], data: Float32Array.of(3, 0, -1, 1e-3) },
    });
    const expected = shapesOf(values);
    const random = new Random(4);
    for (const codec of ["f32", "f16", "bf16", "int8", "int4", "topk"] as const) {
      const whole = codecOf(codec).encode(values, { key });
      let refused = 0;
      for (let i = 0; i < 400; i++) {
        const payload = whole.slice(0, i % 4 === 0 ? random.integer(whole.length) : whole.length);
        for (let j = random.integer(3); j >= 0; j--) {
          payload[random.integer(payload.length)] = random.integer(256);
        }
        try {
          assert.deepEqual(shapesOf(decodePayload(payload, { expected })), expected);
        } catch (error) {
          assert.ok(error instanceof CorruptFileError, String(error));
          refused++;
        }
      }
      assert.ok(refused > 200, `${codec}: ${refused} of 400 were refused`);
    }
  });

  it("refuses places that don't ascend, lie outside or are of another number", () => {
    const indexed = (...places: number[]) =>
      file({ codec: "topk", options: '{"share":0.02}', shapes: '[["A",[100]]]' }, {
        indices: u32(...places),
        values: f32(...places.map(() => 1)),
      });
    assert.equal(decodePayload(indexed(0, 99)).get("A")!.data.length, 100);
    for (const places of [[1, 0], [1, 1], [1, 100]]) {
      refuses(indexed(...places), /2 ascending whole numbers below 100/);
    }
    refuses(indexed(1), /sends U32 \[2\] as "indices", got U32 \[1\]/);
    const masked = (mask: number) =>
      file({ codec: "topk", options: '{"share":0.5}', shapes: '[["A",[4]]]' }, {
        mask: u8(mask),
        values: f32(1, 2),
      });
    assert.deepEqual(decodePayload(masked(0b1010)), named({ A: vector(0, 1, 0, 2) }));
    for (const mask of [0b1011, 0b100001]) refuses(masked(mask), /2 ascending whole numbers below 4/);
  });
});
