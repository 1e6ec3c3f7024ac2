import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ARRAY_CLASSES, type StoredTensor, toFloat32 } from "../../../src/models/weights/dtype.ts";
import { CorruptFileError } from "../../../src/models/errors.ts";
import { encodeSafetensors, readSafetensors } from "../../../src/models/weights/safetensors.ts";

const reference = new Uint8Array(
  readFileSync(new URL("../../golden/safetensors/reference.safetensors", import.meta.url)),
);

/** A file with a hand-written header, and so many bytes of data. */
function fileOf(header: string | object, dataLength = 0): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + text.length + dataLength);
  new DataView(file.buffer).setUint32(0, text.length, true);
  file.set(text, 8);
  return file;
}

function assertCorrupt(file: Uint8Array, message: RegExp): void {
  assert.throws(() => readSafetensors(file), (error) => {
    assert.ok(error instanceof CorruptFileError, String(error));
    assert.match(error.message, message);
    assert.ok(error.message.length < 800, "a hostile name must not fill the message");
    return true;
  });
}

const entry = (dtype: unknown, shape: unknown, begin: unknown, end: unknown): object => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

const tensor: fc.Arbitrary<StoredTensor> = fc
  .tuple(
    fc.constantFrom(...ARRAY_CLASSES.keys()),
    fc.array(fc.nat(4), { maxLength: 4 }),
    fc.infiniteStream(fc.nat(255)),
  )
  .map(([dtype, shape, content]) => {
    const arrayClass = ARRAY_CLASSES.get(dtype)!;
    const length = shape.reduce((a, b) => a * b, 1);
    const bytes = new Uint8Array(length * arrayClass.BYTES_PER_ELEMENT).map(() => content.next().value!);
    return { dtype, shape, data: new arrayClass(bytes.buffer) } as StoredTensor;
  });
const name = fc.string({ unit: "grapheme" }).filter((s) => s !== "__metadata__" && s !== "__proto__");
const tensorMap = fc.array(fc.tuple(fc.oneof(name, fc.nat(20).map(String)), tensor), { maxLength: 6 })
  .map((pairs) => new Map(pairs));
const metadataMap = fc.dictionary(name, fc.string(), { noNullPrototype: true });

const bytesOf = ({ data }: StoredTensor): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
const comparable = (tensors: ReadonlyMap<string, StoredTensor>): unknown =>
  [...tensors].map(([key, t]) => [key, t.dtype, [...t.shape], [...bytesOf(t)].join()])
    .sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));

describe("readSafetensors()", () => {
  it("readSafetensors() reads what the Python library wrote", () => {
    const { tensors, metadata } = readSafetensors(reference);
    const get = (key: string): StoredTensor => tensors.get(key) ?? assert.fail(key);
    assert.deepEqual(metadata, { format: 'p"t\n' });
    assert.equal(tensors.size, 14);
    assert.deepEqual(get("weight"), {
      dtype: "F32",
      shape: [2, 3],
      data: Float32Array.of(1, -0, 1e-45, 3.25, -1e38, Infinity),
    });
    assert.deepEqual(get("bias.ü"), { dtype: "F64", shape: [2], data: Float64Array.of(0.1, -5e-324) });
    assert.deepEqual(get("10"), { dtype: "U64", shape: [2], data: BigUint64Array.of(0n, 2n ** 64n - 1n) });
    assert.deepEqual(get("9"), { dtype: "I64", shape: [], data: BigInt64Array.of(-(2n ** 63n)) });
    assert.deepEqual(get("ids"), { dtype: "I32", shape: [2], data: Int32Array.of(-(2 ** 31), 2 ** 31 - 1) });
    assert.deepEqual(get("counts"), { dtype: "U32", shape: [1], data: Uint32Array.of(2 ** 32 - 1) });
    assert.deepEqual(get("short"), { dtype: "I16", shape: [2, 1], data: Int16Array.of(-32768, 32767) });
    assert.deepEqual(get("ushort"), { dtype: "U16", shape: [1], data: Uint16Array.of(65535) });
    assert.deepEqual(get("byte"), { dtype: "I8", shape: [3], data: Int8Array.of(-128, 127, 5) });
    assert.deepEqual(get("ubyte"), { dtype: "U8", shape: [2], data: Uint8Array.of(0, 255) });
    assert.deepEqual(get("mask"), { dtype: "BOOL", shape: [3], data: Uint8Array.of(1, 0, 1) });
    assert.deepEqual(get("empty"), { dtype: "F32", shape: [0, 4], data: new Float32Array(0) });
    assert.deepEqual(toFloat32(get("half")), Float32Array.of(1, -2, 65504, 2 ** -24, -Infinity));
    assert.deepEqual(toFloat32(get("brain")), Float32Array.of(1, -2, 2 ** -133, Infinity));
  });

  it("readSafetensors() views aligned data and copies the rest", () => {
    const aligned = readSafetensors(reference.slice().buffer);
    for (const { data } of aligned.tensors.values()) assert.equal(data.buffer.byteLength, reference.length);
    const shifted = new Uint8Array(reference.length + 1);
    shifted.set(reference, 1);
    const copied = readSafetensors(shifted.subarray(1));
    assert.deepEqual(readSafetensors(Buffer.from(shifted.buffer, 1)), copied);
    assert.deepEqual(copied.tensors, aligned.tensors);
    assert.notEqual(copied.tensors.get("weight")!.data.buffer, shifted.buffer);
    assert.equal(copied.tensors.get("byte")!.data.buffer, shifted.buffer);
  });

  it("readSafetensors() refuses a length prefix that lies", () => {
    assertCorrupt(new Uint8Array(0), /at least 8 bytes, got 0/);
    assertCorrupt(new Uint8Array(7), /at least 8 bytes, got 7/);
    assertCorrupt(Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 123, 125), /take 3 bytes, but 2 follow/);
    assertCorrupt(new Uint8Array(8).fill(255), /take 100000000 bytes, got a length of 18446744073709551615/);
    assertCorrupt(new Uint8Array(10), /not JSON/);
  });

  it("readSafetensors() refuses a header that is not a JSON object", () => {
    for (const bad of ["{", '{"', '{"\\', '{"\\x":1}', "}{", "{}x", "\ufeff{}", "{'a':1}", '{"a":1,}']) {
      assertCorrupt(fileOf(bad), /not JSON/);
    }
    assertCorrupt(Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0, 0x22, 0xff, 0x22), /not JSON/);
    for (const bad of ["[]", "null", "3", '"text"']) assertCorrupt(fileOf(bad), /must be a JSON object, got/);
  });

  it("readSafetensors() refuses nesting that the format does not have, before it is parsed", () => {
    const deep = /nests arrays or objects deeper/;
    assertCorrupt(fileOf("[".repeat(2_000_000)), deep);
    assertCorrupt(fileOf(`{"a":${'{"a":'.repeat(2_000_000)}`), deep);
    assertCorrupt(fileOf('{"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}}', 1), deep);
    assertCorrupt(fileOf('{"a":[{}]}'), deep);
    assertCorrupt(
      fileOf('{"[[[[{{{{":{"dtype":"\\"[[{{","shape":[0],"data_offsets":[0,0]}}'),
      /unknown dtype/,
    );
  });

  it("readSafetensors() refuses repeated keys, however they are spelt", () => {
    const one = JSON.stringify(entry("U8", [0], 0, 0));
    assertCorrupt(fileOf(`{"a":${one},"a":${one}}`), /repeats the key "a"/);
    assertCorrupt(fileOf(`{"a":${one}, "\\u0061" :${one}}`), /repeats the key "a"/);
    assertCorrupt(fileOf('{"a":{"dtype":"U8","shape":[],"shape":[0],"data_offsets":[0,0]}}'), /key "shape"/);
    assertCorrupt(fileOf('{"__metadata__":{"k\\"":"1","k\\"":"2"}}'), /repeats the key/);
    const nested = fileOf(`{"a":${one},"b":${one},"__metadata__":{"a":"b","dtype":"\\\\","b":"a"}}`);
    assert.equal(readSafetensors(nested).tensors.size, 2);
  });

  it("readSafetensors() refuses names that would reach a prototype", () => {
    assertCorrupt(
      fileOf('{"__proto__":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
      /name __proto__ is reserved/,
    );
    assertCorrupt(fileOf('{"__metadata__":{"__proto__":"x"}}'), /reserved key __proto__/);
    const harmless = readSafetensors(fileOf('{"__metadata__":{"constructor":"x","toString":"y"}}'));
    assert.deepEqual(Object.entries(harmless.metadata), [["constructor", "x"], ["toString", "y"]]);
    assert.equal(({} as Record<string, unknown>)["x"], undefined);
  });

  it("readSafetensors() refuses metadata that is not text to text", () => {
    for (const bad of [null, [], "x", 3]) {
      assertCorrupt(fileOf({ __metadata__: bad }), /must map text to text/);
    }
    for (const bad of [null, [], {}, 3]) {
      assertCorrupt(fileOf({ __metadata__: { k: bad } }), /text to text.*"k"/);
    }
  });

  it("readSafetensors() refuses unknown dtypes and impossible shapes", () => {
    for (const bad of ["F8_E4M3", "f32", "constructor", "", 32, null]) {
      assertCorrupt(fileOf({ a: entry(bad, [0], 0, 0) }), /tensor "a" has the unknown dtype/);
    }
    for (const bad of [[-1], [0.5], ["1"], [null], 3, null, [2 ** 53], {}]) {
      assertCorrupt(
        fileOf({ a: entry("U8", bad, 0, 1) }, 1),
        /tensor "a" needs a shape of non-negative integers/,
      );
    }
    assertCorrupt(fileOf('{"a":{"dtype":"U8","shape":[-0],"data_offsets":[0,0]}}'), /shape of non-negative/);
    assertCorrupt(fileOf({ a: entry("F32", [2 ** 27, 2 ** 27], 0, 4) }, 4), /too large a shape/);
    assertCorrupt(fileOf({ a: entry("F32", [2 ** 31, 2 ** 20], 0, 4) }, 4), /takes 9007199254740992 bytes/);
    for (const bad of [null, 3, "x", []]) assertCorrupt(fileOf({ a: bad }), /described by an object/);
  });

  it("readSafetensors() refuses ranges that lie", () => {
    const two = (a: object, b: object, length: number): Uint8Array => fileOf({ a, b }, length);
    assertCorrupt(fileOf({ a: entry("U8", [1], 1, 0) }, 1), /ends before it begins/);
    for (const [begin, end] of [[-1, 0], [0, 0.5], ["0", 1], [0, null], [0, 2 ** 60]]) {
      assertCorrupt(fileOf({ a: entry("U8", [1], begin, end) }, 1), /two non-negative integers/);
    }
    assertCorrupt(fileOf({ a: { dtype: "U8", shape: [1], data_offsets: [0, 1, 2] } }, 1), /two non-negative/);
    assertCorrupt(
      fileOf({ a: entry("F32", [2], 0, 4) }, 4),
      /F32 \[2\] takes 8 bytes, but data_offsets span 4/,
    );
    assertCorrupt(fileOf({ a: entry("F32", [2], 0, 8) }, 7), /ends at byte 8, but the file holds 7/);
    assertCorrupt(two(entry("U8", [4], 0, 4), entry("U8", [4], 2, 6), 6), /"a" and "b" overlap at byte 2/);
    assertCorrupt(two(entry("U8", [4], 0, 4), entry("U8", [4], 0, 4), 4), /overlap at byte 0/);
    assertCorrupt(two(entry("U8", [4], 0, 4), entry("U8", [1], 6, 7), 7), /bytes 4 to 6 before tensor "b"/);
    assertCorrupt(fileOf({ a: entry("U8", [4], 0, 4) }, 5), /bytes 4 to 5 at the end/);
    assertCorrupt(fileOf("{}", 1), /bytes 0 to 1 at the end/);
    assertCorrupt(fileOf({ ["n".repeat(100_000)]: entry("U8", [1], 1, 0) }, 1), /ends before/);
  });

  it("readSafetensors() reads or refuses a reference file with any bytes altered", () => {
    const edit = fc.tuple(
      fc.nat(reference.length - 1),
      fc.oneof(fc.nat(255), fc.constantFrom(...'{}[]",:09-.eE\\ ')),
    );
    fc.assert(
      fc.property(
        fc.array(edit, { minLength: 1, maxLength: 4 }),
        fc.nat(reference.length),
        fc.boolean(),
        (edits, cut, cutting) => {
          const file = cutting ? reference.slice(0, cut) : reference.slice();
          for (const [at, value] of edits) file[at] = typeof value === "string" ? value.charCodeAt(0) : value;
          assertReadOrRefused(file);
        },
      ),
      { numRuns: 5000 },
    );
  });

  it("readSafetensors() reads or refuses a header of plausible parts", () => {
    const number = fc.oneof(fc.nat(16), fc.constantFrom(-1, 0.5, 1e20, 2 ** 31, 2 ** 53 - 1, null));
    const part = fc.record({
      dtype: fc.constantFrom("U8", "F16", "F32", "I64", "F8", 3),
      shape: fc.oneof(fc.array(number, { maxLength: 3 }), fc.jsonValue()),
      data_offsets: fc.oneof(fc.array(number, { minLength: 1, maxLength: 3 }), fc.jsonValue()),
    }, { requiredKeys: ["dtype"] });
    const simple = fc.tuple(fc.nat(4), fc.nat(2)).map(([begin, length]) =>
      entry("U8", [length], begin, begin + length)
    );
    const header = fc.dictionary(
      fc.oneof(fc.constantFrom("a", "b", "__metadata__", "__proto__"), fc.string()),
      fc.oneof(part, simple, fc.jsonValue()),
      { maxKeys: 4 },
    );
    fc.assert(
      fc.property(header, fc.nat(16), (value, length) => assertReadOrRefused(fileOf(value, length))),
      { numRuns: 5000 },
    );
  });
});

/** A file that is read must account for each byte of data once, and survive being written again. */
function assertReadOrRefused(file: Uint8Array): void {
  let read: ReturnType<typeof readSafetensors>;
  try {
    read = readSafetensors(file);
  } catch (error) {
    assert.ok(error instanceof CorruptFileError, String(error));
    return;
  }
  const dataLength = file.length - 8 - new DataView(file.buffer, file.byteOffset).getUint32(0, true);
  const sizes = [...read.tensors.values()].map(({ data }) => data.byteLength);
  assert.equal(sizes.reduce((a, b) => a + b, 0), dataLength);
  const again = readSafetensors(encodeSafetensors(read.tensors, read.metadata));
  assert.deepEqual(comparable(again.tensors), comparable(read.tensors));
  assert.deepEqual(again.metadata, read.metadata);
}

describe("encodeSafetensors()", () => {
  it("encodeSafetensors() writes the same bytes as the Python library", () => {
    const { tensors, metadata } = readSafetensors(reference);
    const shuffled = new Map([...tensors].reverse());
    assert.deepEqual(Buffer.from(encodeSafetensors(shuffled, metadata)), Buffer.from(reference));
  });

  it("encodeSafetensors() and readSafetensors() are inverses, whatever the order of the entries", () => {
    fc.assert(fc.property(tensorMap, metadataMap, (tensors, metadata) => {
      const file = encodeSafetensors(tensors, metadata);
      const read = readSafetensors(file);
      assert.deepEqual(comparable(read.tensors), comparable(tensors));
      assert.deepEqual(read.metadata, metadata);
      const headerLength = new DataView(file.buffer).getUint32(0, true);
      assert.equal(headerLength % 8, 0);
      for (const { data } of read.tensors.values()) {
        assert.equal(data.buffer, file.buffer, "written unaligned");
      }
      const reversed = Object.fromEntries(Object.entries(metadata).reverse());
      assert.deepEqual(
        Buffer.from(encodeSafetensors(new Map([...tensors].reverse()), reversed)),
        Buffer.from(file),
      );
    }));
  });

  it("encodeSafetensors() writes a view without its surroundings", () => {
    const data = Float32Array.of(9, 1, 2, 9).subarray(1, 3);
    const { tensors } = readSafetensors(
      encodeSafetensors(new Map([["a", { dtype: "F32", shape: [2], data }]])),
    );
    assert.deepEqual(tensors.get("a")!.data, Float32Array.of(1, 2));
  });

  it("encodeSafetensors() refuses tensors that contradict themselves", () => {
    const encode = (name: string, stored: object): unknown =>
      encodeSafetensors(new Map([[name, stored as StoredTensor]]));
    const data = Float32Array.of(1, 2);
    assert.throws(() => encode("a", { dtype: "F32", shape: [3], data }), {
      name: "TypeError",
      message: /\[3\].* 2 elements/,
    });
    for (const shape of [[-1, -2], [0.5, 4], [NaN]]) {
      assert.throws(() => encode("a", { dtype: "F32", shape, data }), TypeError);
    }
    assert.throws(() => encode("a", { dtype: "F16", shape: [2], data }), {
      name: "TypeError",
      message: /F16.*Float32Array/,
    });
    assert.throws(() => encode("a", { dtype: "F8", shape: [2], data }), {
      name: "TypeError",
      message: /unknown dtype F8/,
    });
    for (const bad of ["__metadata__", "__proto__"]) {
      assert.throws(() => encode(bad, { dtype: "F32", shape: [2], data }), {
        name: "TypeError",
        message: /reserved/,
      });
    }
    assert.throws(() => encodeSafetensors(new Map(), { k: 3 as unknown as string }), {
      name: "TypeError",
      message: /number for k/,
    });
  });
});
