import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeNpy, encodeNpy } from "../../../../src/network/flower/records/npy.ts";
import { float32Array } from "../../../../src/network/mod.ts";
import { shapes } from "../../../support/arbitraries.ts";
import { NPY, VECTORS } from "../vectors.ts";

/** A file of version 1.0 with this header, and these bytes of data. */
function npy(header: string, data: ArrayLike<number>): Uint8Array {
  const text = Buffer.from(header);
  return Buffer.concat([
    Buffer.from("\x93NUMPY\x01\x00", "latin1"),
    Buffer.of(text.length & 255, text.length >> 8),
    text,
    Buffer.from(data),
  ]);
}
const header = (descr: string, shape: string, order = "False") =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }\n`;

test("encodeNpy() writes what NumPy writes", () => {
  assert.equal(
    Buffer.from(encodeNpy(float32Array([2, 2], Float32Array.of(1, 2, 3, 4)))).toString("hex"),
    NPY,
  );
  const scalar = encodeNpy(float32Array([], Float32Array.of(3.5)));
  assert.match(Buffer.from(scalar).toString("latin1"), /'shape': \(\), } +\n/);
  assert.equal(scalar.length, 132);
  assert.ok(VECTORS.scalar, "and the whole objects are compared with Flower's");
});

test("decodeNpy() reads each type of elements", () => {
  const cases: [string, number[], ArrayLike<number | bigint>, string][] = [
    ["<f2", [0x00, 0x3c, 0x01, 0x00], Float32Array.of(1, 2 ** -24), "float16"],
    ["<f4", [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0], Float32Array.of(1, -2), "float32"],
    ["<f8", [0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0], Float64Array.of(1, 0), "float64"],
    ["|i1", [0xff, 2], Int8Array.of(-1, 2), "int8"],
    ["<i2", [0xfe, 0xff, 1, 0], Int16Array.of(-2, 1), "int16"],
    ["<i4", [0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0], Int32Array.of(-1, 1), "int32"],
    ["<i8", [...Array(8).fill(0xff), 1, 0, 0, 0, 1, 0, 0, 0], BigInt64Array.of(-1n, 2n ** 32n + 1n), "int64"],
    ["|u1", [255, 0], Uint8Array.of(255, 0), "uint8"],
    ["<u2", [255, 255, 1, 0], Uint16Array.of(65535, 1), "uint16"],
    ["<u4", [255, 255, 255, 255, 1, 0, 0, 0], Uint32Array.of(2 ** 32 - 1, 1), "uint32"],
    ["<u8", [...Array(8).fill(0xff), ...Array(8).fill(0)], BigUint64Array.of(2n ** 64n - 1n, 0n), "uint64"],
    ["|b1", [1, 0], Uint8Array.of(1, 0), "bool"],
  ];
  for (const [descr, bytes, data, dtype] of cases) {
    assert.deepEqual(decodeNpy(npy(header(descr, "(2,)"), bytes)), { dtype, shape: [2], data });
  }
});

test("decodeNpy() turns column-major data into row-major", () => {
  // numpy.asfortranarray([[1, 2, 3], [4, 5, 6]]) is kept as 1 4 2 5 3 6.
  assert.deepEqual(
    decodeNpy(npy(header("|u1", "(2, 3)", "True"), [1, 4, 2, 5, 3, 6])).data,
    Uint8Array.of(1, 2, 3, 4, 5, 6),
  );
  // Element [i, j, k] of a shape [2, 2, 3] stands at i + 2 j + 4 k.
  const found =
    decodeNpy(npy(header("|u1", "(2, 2, 3)", "True"), Array.from({ length: 12 }, (_, i) => i))).data;
  assert.deepEqual(found, Uint8Array.of(0, 4, 8, 2, 6, 10, 1, 5, 9, 3, 7, 11));
  assert.deepEqual(decodeNpy(npy(header("|u1", "(0, 3)", "True"), [])).shape, [0, 3]);
  assert.deepEqual(decodeNpy(npy(header("|u1", "()", "True"), [7])).data, Uint8Array.of(7));
});

test("decodeNpy() refuses other files, and says what it expected", () => {
  const wrong: [Uint8Array, RegExp][] = [
    [new Uint8Array(0), /^Cannot read an array: expected the bytes of a \.npy file of version 1\.0$/],
    [Buffer.from("PK\x03\x04 and more"), /expected the bytes/],
    [npy(header("<f4", "(1,)"), [0, 0, 0, 0]).fill(2, 6, 7), /expected the bytes/],
    [
      npy(header("<f4", "(1,)"), [0, 0, 0, 0]).fill(255, 8, 10),
      /expected a header that ends at byte 65545, got \d+ bytes$/,
    ],
    [npy(header(">f4", "(1,)"), [0, 0, 0, 0]), /expected elements of <f2, .*, got ">f4"$/],
    [npy(header("|O", "(1,)"), [0, 0, 0, 0]), /got "\|O"$/],
    [npy(header("toString", "(1,)"), [0]), /got "toString"$/],
    [npy(header("<f4", "(2,)"), [0, 0, 0, 0]), /expected 8 bytes of float32 for shape \[2\], got 4$/],
    [npy(header("<f4", "(1,)"), [0, 0, 0, 0, 0]), /expected 4 bytes of float32 for shape \[1\], got 5$/],
    [
      npy(header("<f4", "(99999999999, 99999999999)"), []),
      /expected 4e\+22 bytes|expected 3\.9\d*e\+22 bytes/,
    ],
    [npy(header("<f4", "(-1,)"), []), /expected a header with descr, fortran_order and shape/],
    [
      npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n", [0, 0, 0, 0]),
      /expected a header with descr/,
    ],
    [npy("", []), /expected a header with descr, fortran_order and shape, got ""$/],
  ];
  for (const [bytes, message] of wrong) {
    assert.throws(() => decodeNpy(bytes), { name: "FlowerFormatError", message });
  }
});

test("decodeNpy() reads what encodeNpy() writes, of any shape and place in memory", () => {
  fc.assert(fc.property(shapes({ maxSize: 300 }), fc.nat(3), (shape, offset) => {
    const size = shape.reduce((product, length) => product * length, 1);
    const data = Float32Array.from({ length: size }, (_, i) => Math.fround(Math.sin(i)));
    const bytes = encodeNpy(float32Array(shape, data));
    const moved = new Uint8Array(bytes.length + offset);
    moved.set(bytes, offset);
    assert.equal((bytes.length - data.byteLength) % 64, 0);
    assert.deepEqual(decodeNpy(moved.subarray(offset)), { dtype: "float32", shape, data });
  }));
});

test("decodeNpy() refuses broken bytes with its own error, or reads an array that is whole", () => {
  const whole = encodeNpy(float32Array([3, 2], new Float32Array(6)));
  const broken = fc.tuple(
    fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 6 }),
    fc.nat(whole.length),
  );
  fc.assert(
    fc.property(broken, ([changes, length]) => {
      const bytes = whole.slice(0, length);
      for (const [at, value] of changes) if (at < length) bytes[at] = value;
      try {
        const { shape, data } = decodeNpy(bytes);
        assert.equal(data.length, shape.reduce((product, each) => product * each, 1));
      } catch (error) {
        assert.equal((error as Error).name, "FlowerFormatError");
      }
    }),
    { numRuns: 500 },
  );
});

test("encodeNpy() refuses other types, and a shape that its data doesn't have", () => {
  assert.throws(() => encodeNpy({ dtype: "int64", shape: [1], data: BigInt64Array.of(1n) }), {
    name: "TypeError",
    message: "Cannot write an array: expected float32 in a Float32Array, got int64 in a BigInt64Array",
  });
  assert.throws(() => encodeNpy({ dtype: "float32", shape: [2], data: Float32Array.of(1) }), {
    name: "RangeError",
    message: "Cannot write an array of shape [2]: expected 2 elements, got 1",
  });
});
