import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodePayload, encodePayload, type WireTensor } from "../../src/fl/wire.ts";
import { CorruptFileError } from "../../src/models/errors.ts";
import { encodeSafetensors } from "../../src/models/weights/safetensors.ts";

const word = fc.oneof(
  fc.nat(0xffffffff),
  // -0, smallest and largest subnormal, infinities, quiet and signalling NaN with a payload.
  fc.constantFrom(0x80000000, 1, 0x007fffff, 0x7f800000, 0xff800000, 0x7fc01234, 0xff812345),
);
const tensors = fc.dictionary(
  fc.string().filter((name) => !name.startsWith("__")),
  fc.array(fc.array(word, { minLength: 3, maxLength: 3 }), { maxLength: 5 }),
).map((named) =>
  new Map(
    Object.entries(named).map(([name, rows]): [string, WireTensor] => [
      name,
      { shape: [rows.length, 3], data: new Float32Array(Uint32Array.from(rows.flat()).buffer) },
    ]),
  )
);

const bits = (map: ReadonlyMap<string, WireTensor>): unknown =>
  Object.fromEntries([...map].map(([name, { shape, data }]) => [
    name,
    [shape, [...new Uint32Array(data.buffer, data.byteOffset, data.length)]],
  ]));

describe("encodePayload()", () => {
  it("encodePayload() and decodePayload() keep every bit, also of -0, subnormals and NaN", () => {
    fc.assert(fc.property(tensors, (named) => {
      const payload = encodePayload(named, { codec: "f32" });
      assert.deepEqual(bits(decodePayload(payload)), bits(named));
      assert.deepEqual(encodePayload(new Map([...named].reverse()), { codec: "f32" }), payload);
    }));
  });

  it("encodePayload() costs the header and four bytes a value", () => {
    // 8 for the length; {"__metadata__":{"codec":"f32"},"A":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}
    // has 87 characters, padded to 88; 6 values of 4 bytes.
    const payload = encodePayload(new Map([["A", { shape: [2, 3], data: new Float32Array(6) }]]), {
      codec: "f32",
    });
    assert.equal(payload.byteLength, 8 + 88 + 24);
  });

  it("encodePayload() refuses an unknown codec and a shape that disagrees with its data", () => {
    const named = new Map([["A", { shape: [2], data: new Float32Array(3) }]]);
    assert.throws(() => encodePayload(named, { codec: "f32" }), {
      name: "TypeError",
      message: /\[2\].*3 elements/,
    });
    assert.throws(() => encodePayload(new Map(), { codec: "int8" as "f32" }), {
      name: "TypeError",
      message: /got int8/,
    });
  });
});

describe("decodePayload()", () => {
  it("decodePayload() refuses broken payloads, other codecs and other dtypes", () => {
    const data = Float32Array.of(1, 2);
    const payload = encodePayload(new Map([["A", { shape: [2], data }]]), { codec: "f32" });
    assert.throws(() => decodePayload(payload.subarray(0, -1)), CorruptFileError);
    const file = (codec: Record<string, string>, dtype: "F32" | "I32"): Uint8Array =>
      encodeSafetensors(
        new Map([[
          "A",
          dtype === "F32" ? { dtype, shape: [2], data } : { dtype, shape: [2], data: new Int32Array(2) },
        ]]),
        codec,
      );
    assert.throws(() => decodePayload(file({}, "F32")), {
      name: "CorruptFileError",
      message: /got undefined/,
    });
    assert.throws(() => decodePayload(file({ codec: "int8" }, "F32")), {
      name: "CorruptFileError",
      message: /got int8/,
    });
    assert.throws(() => decodePayload(file({ codec: "f32" }, "I32")), {
      name: "CorruptFileError",
      message: /got I32/,
    });
  });
});
