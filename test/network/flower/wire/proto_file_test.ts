import assert from "node:assert/strict";
import { test } from "node:test";
import { protoFile } from "../../../../src/network/flower/wire/proto_file.ts";

const { encode, decode } = protoFile("test", {
  All: {
    real: [1, "double"],
    count: [2, "uint64"],
    signed: [3, "sint64"],
    small: [4, "uint32"],
    flag: [5, "bool"],
    text: [6, "string"],
    blob: [7, "bytes"],
    inner: [8, "Inner"],
    inners: [9, "Inner", "repeated"],
    numbers: [10, "sint64", "repeated"],
    maybe: [11, "uint64", "optional"],
    // Numbers on both sides of the others'.
    either: { oneof: { first: [20, "bool"], second: [12, "Inner"] } },
  },
  Inner: { id: [1, "uint64"], next: [2, "Inner"] },
});
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

test("protoFile() leaves out zeros, except where a field is one of several or optional", () => {
  assert.equal(
    hex(encode("All", { real: 0, count: 0n, text: "", blob: new Uint8Array(), flag: false, numbers: [] })),
    "",
  );
  assert.equal(hex(encode("All", { either: { case: "first", value: false } })), "a00100");
  assert.equal(hex(encode("All", { maybe: 0n })), "5800");
  assert.equal(hex(encode("All", { inner: {} })), "4200");
});

test("protoFile() writes fields by their numbers and packs lists of numbers", () => {
  const message = {
    either: { case: "second" as const, value: { id: 1n, next: undefined } },
    numbers: [-1n, 2n],
    count: 2n ** 64n - 1n,
    signed: -(2n ** 63n),
  };
  assert.equal(
    hex(encode("All", message)),
    "10ffffffffffffffffff01" + "18ffffffffffffffffff01" + "52020104" + "62020801",
  );
});

test("protoFile() reads whole numbers of 64 bits as bigint, zeros of what was not sent, and skips what it doesn't know", () => {
  const empty = decode("All", new Uint8Array());
  assert.equal(empty.count, 0n);
  assert.equal(empty.inner, undefined);
  assert.equal(empty.maybe, undefined);
  assert.equal(empty.either.case, undefined);
  assert.deepEqual(empty.numbers, []);
  // Unknown: field 15 a varint, 16 a double, 17 bytes, 18 32 bits.
  const more = Buffer.from(
    "7801" + "8101" + "00".repeat(8) + "8a0102ffff" + "950100000000" + "10ffffffffffffffffff01",
    "hex",
  );
  const { count, ...rest } = decode("All", more);
  assert.equal(count, 18446744073709551615n);
  assert.equal("$unknown" in rest, false);
});

test("protoFile() refuses bytes that end too early, and messages without an end", () => {
  assert.throws(() => decode("All", Uint8Array.of(0x42, 5, 8)));
  assert.throws(() => decode("All", Uint8Array.of(0x0a)));
  assert.throws(() => decode("Inner", deep(200)), /recursion/);
  assert.equal(decode("Inner", deep(50)).next?.next?.id, 0n);
});

/** Inner messages in one another. */
function deep(levels: number): Uint8Array {
  let bytes = new Uint8Array();
  for (let i = 0; i < levels; i++) bytes = Uint8Array.of(0x12, ...lengthOf(bytes), ...bytes);
  return bytes;
}

function lengthOf({ length }: Uint8Array): number[] {
  return length < 128 ? [length] : [length & 127 | 128, length >> 7];
}
