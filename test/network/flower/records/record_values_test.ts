import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  decodeConfig,
  decodeMetrics,
  encodeConfig,
  encodeMetrics,
} from "../../../../src/network/flower/records/record_values.ts";
import type { ConfigValue, MetricValue } from "../../../../src/network/mod.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));

test("encodeMetrics() writes a bigint as an integer and a number as a double, zeros too", () => {
  // Field 1 of the record: an item of key (field 1) and value (field 2); in it field 1 is a double, 2 a sint64, 3 a uint64.
  assert.equal(hex(encodeMetrics(new Map([["n", 7n]]))), "0a070a016e1202100e");
  assert.equal(hex(encodeMetrics(new Map([["n", 7]]))), "0a0e0a016e1209090000000000001c40");
  assert.equal(hex(encodeMetrics(new Map([["n", 0n]]))), "0a070a016e12021000");
  assert.equal(hex(encodeMetrics(new Map([["n", 0]]))), "0a0e0a016e1209090000000000000000");
  assert.equal(hex(encodeMetrics(new Map([["n", 2n ** 63n]]))), "0a100a016e120b1880808080808080808001");
  // An empty list is one of integers, as in Python.
  assert.equal(hex(encodeMetrics(new Map([["n", []]]))), "0a080a016e1203b20100");
});

test("encodeConfig() writes false and empty texts", () => {
  assert.equal(hex(encodeConfig(new Map([["f", false]]))), "0a070a016612022000");
  assert.equal(hex(encodeConfig(new Map([["s", ""]]))), "0a070a017312022a00");
  assert.equal(hex(encodeConfig(new Map([["b", new Uint8Array()]]))), "0a070a016212023200");
});

const int = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n });
const number = fc.double();
const lists = [
  fc.array(number, { minLength: 1 }),
  fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
];
const metric: fc.Arbitrary<MetricValue> = fc.oneof(number, int, ...lists);
const text = fc.string({ unit: "binary" }).filter((each) => each.isWellFormed());
const blob = fc.uint8Array();
const config: fc.Arbitrary<ConfigValue> = fc.oneof(
  metric,
  fc.boolean(),
  text,
  blob,
  fc.array(fc.boolean()),
  fc.array(text),
  fc.array(blob),
);

test("decodeMetrics() and decodeConfig() read what was written, in order", () => {
  const of = <V>(value: fc.Arbitrary<V>) =>
    fc.array(fc.tuple(text, value), { maxLength: 5 }).map((entries) => new Map(entries));
  fc.assert(fc.property(of(metric), (values) => {
    const read = decodeMetrics(encodeMetrics(values));
    assert.deepEqual([...read], [...values]);
  }));
  fc.assert(fc.property(of(config), (values) => {
    const read = decodeConfig(encodeConfig(values));
    assert.deepEqual([...read], [...values]);
  }));
});

test("decodeConfig() reads an empty list of any type", () => {
  for (const field of ["aa", "b2", "ba", "c2", "ca", "d2"]) {
    assert.deepEqual(decodeConfig(bytes(`0a080a01651203${field}0100`)).get("e"), []);
  }
});

test("decodeConfig() skips fields that it doesn't know, and reads lists that aren't packed", () => {
  // A varint in field 15 of the record, and field 9 of the item.
  assert.deepEqual(decodeConfig(bytes("78050a090a016e1202100e4801")), new Map([["n", 7n]]));
  // A list of sint64 as two fields of their own.
  assert.deepEqual(decodeConfig(bytes("0a0c0a016c1207b2010408020801")), new Map([["l", [1n, -1n]]]));
});

test("decodeMetrics() refuses a name that is there twice, and a value of no known type", () => {
  const item = "0a070a016e1202100e";
  assert.throws(() => decodeMetrics(bytes(item + item)), {
    name: "FlowerFormatError",
    message: `Cannot read metrics: "n" is there twice`,
  });
  // Field 9 of a value, and no value.
  for (const unknown of ["0a070a016e12024801", "0a030a016e"]) {
    assert.throws(() => decodeMetrics(bytes(unknown)), {
      name: "FlowerFormatError",
      message: `Cannot read metrics: "n" has no value of a known type`,
    });
  }
  // A text is no metric.
  assert.throws(() => decodeMetrics(encodeConfig(new Map([["s", "x"]]))), { name: "FlowerFormatError" });
});

test("encodeConfig() refuses what has no type, and integers that don't fit", () => {
  const wrong: [unknown, string, RegExp][] = [
    [null, "TypeError", /got null$/],
    [undefined, "TypeError", /got undefined$/],
    [{}, "TypeError", /got object$/],
    [[1, 1n], "TypeError", /got a list of number and bigint$/],
    [[1n, null], "TypeError", /got a list of bigint and null$/],
    [[[1]], "TypeError", /got a list of object$/],
    [
      2n ** 64n,
      "RangeError",
      /^Cannot write x: expected an integer from −2⁶³ to 2⁶⁴ − 1, got 18446744073709551616$/,
    ],
    [-(2n ** 63n) - 1n, "RangeError", /got -9223372036854775809$/],
    [[2n ** 63n, -1n], "RangeError", /expected integers of one sign/],
  ];
  for (const [value, name, message] of wrong) {
    assert.throws(() => encodeConfig(new Map([["x", value as never]])), { name, message });
  }
});

test("decodeConfig() ends with an error or values, whatever the bytes", () => {
  const whole = encodeConfig(
    new Map<string, ConfigValue>([["lr", 0.1], ["names", ["a", "b"]], ["n", [1n, 2n]], ["b", blobOf(9)]]),
  );
  const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(changes, (changed) => {
      const broken = whole.slice();
      for (const [at, value] of changed) broken[at] = value;
      try {
        assert.ok(decodeConfig(broken) instanceof Map);
      } catch (error) {
        assert.ok(error instanceof Error && error.name !== "AssertionError", String(error));
      }
    }),
    { numRuns: 500 },
  );
});

function blobOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i);
}
