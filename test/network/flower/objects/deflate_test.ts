import assert from "node:assert/strict";
import { test } from "node:test";
import {
  deflateMessage,
  type ObjectSet,
  objectTree,
} from "../../../../src/network/flower/objects/deflate.ts";
import { float32Array, type FlowerRecord } from "../../../../src/network/mod.ts";
import { VECTORS } from "../vectors.ts";

const array = float32Array([2, 2], Float32Array.of(1, 2, 3, 4));
const arrays: FlowerRecord = { type: "arrays", arrays: new Map([["w", array]]) };
const metrics: FlowerRecord = {
  type: "metrics",
  values: new Map<string, number | bigint | number[] | bigint[]>([
    ["num-examples", 7n],
    ["loss", 0.5],
    ["neg", -3n],
    ["l", [1, 2]],
    ["i", [1n, -1n]],
  ]),
};
const config: FlowerRecord = {
  type: "config",
  values: new Map<string, number | bigint | boolean | string | Uint8Array | string[]>([
    ["lr", 0.1],
    ["server-round", 1n],
    ["flag", true],
    ["s", "é"],
    ["b", Uint8Array.of(0, 1)],
    ["ls", ["a", "b"]],
    ["e", []],
  ]),
};
const metadata = {
  runId: 123n,
  srcNodeId: 2n ** 63n + 5n,
  dstNodeId: 1n,
  replyToMessageId: "ab".repeat(32),
  groupId: "1",
  ttl: 3600.5,
  messageType: "train",
  createdAt: 1750000000.25,
};

function assertHolds(objects: ObjectSet, { id, hex }: { readonly id: string; readonly hex?: string }): void {
  const found = objects.get(id);
  assert.ok(
    found,
    `${id} is not among ${[...objects.values()].map((each) => `${each.type} ${each.id}`).join(", ")}`,
  );
  if (hex !== undefined) assert.equal(Buffer.from(found.bytes).toString("hex"), hex);
}

test("deflateMessage() makes the objects of Flower's own code, byte for byte", () => {
  const { chunk, array, arrays: record, metrics: numbers, records, message } = VECTORS;
  const objects = deflateMessage(
    metadata,
    new Map<string, FlowerRecord>([["arrays", arrays], ["metrics", metrics]]),
  );
  for (const each of [chunk, array, record, numbers, records, message]) assertHolds(objects, each);
  assert.equal([...objects.keys()].at(-1), message.id);
  assert.deepEqual(objectTree(objects, message.id), {
    objectId: message.id,
    children: [{
      objectId: records.id,
      children: [
        {
          objectId: record.id,
          children: [{ objectId: array.id, children: [{ objectId: chunk.id, children: [] }] }],
        },
        { objectId: numbers.id, children: [] },
      ],
    }],
  });
});

test("deflateMessage() writes every type of setting, and an empty list, as Flower's own code does", () => {
  assertHolds(deflateMessage(metadata, new Map([["config", config]])), VECTORS.config);
});

test("deflateMessage() writes an error without children", () => {
  const objects = deflateMessage(metadata, { code: 2, reason: "boom" });
  assert.equal(objects.size, 1);
  assertHolds(objects, VECTORS.errorMessage);
});

test("deflateMessage() writes empty arrays, scalars and names beyond ASCII as Flower's own code does", () => {
  const three: FlowerRecord = {
    type: "arrays",
    arrays: new Map([
      ["w", array],
      ["b", float32Array([0], new Float32Array(0))],
      ["s", float32Array([], Float32Array.of(3.5))],
      ["w2", array],
    ]),
  };
  const named: FlowerRecord = { type: "arrays", arrays: new Map([["poids-é", array]]) };
  const objects = deflateMessage(metadata, new Map([["three", three], ["named", named]]));
  const { emptyArray, scalar, threeArrays, namedBeyondAscii } = VECTORS;
  for (const each of [emptyArray, scalar, threeArrays, namedBeyondAscii]) assertHolds(objects, each);
});

test("deflateMessage() cuts an array into chunks of 5 MiB and keeps equal ones once", () => {
  const large = float32Array([3_000_000], new Float32Array(3_000_000));
  const objects = deflateMessage(
    metadata,
    new Map([["x", { type: "arrays", arrays: new Map([["w", large]]) }]]),
  );
  const chunks = [...objects.values()].filter(({ type }) => type === "ArrayChunk");
  // 12,000,128 bytes: the first chunk has the header, the second is all zeros, the third is shorter.
  assert.deepEqual(chunks.map(({ body }) => body.length), [5 << 20, 5 << 20, 12_000_128 - 2 * (5 << 20)]);
  const [body] = [...objects.values()].filter(({ type }) => type === "Array");
  assert.match(new TextDecoder().decode(body!.body), /"arraychunk_ids": \[0, 1, 2\]/);
  const larger = float32Array([5_000_000], new Float32Array(5_000_000));
  const repeated = deflateMessage(
    metadata,
    new Map([["x", { type: "arrays", arrays: new Map([["w", larger]]) }]]),
  );
  const [text] = [...repeated.values()].filter(({ type }) => type === "Array");
  // 20,000,128 bytes: two whole chunks of zeros are one object.
  assert.match(new TextDecoder().decode(text!.body), /"arraychunk_ids": \[0, 1, 1, 2\]/);
});

test("deflateMessage() names the array that it cannot write", () => {
  const wrong: FlowerRecord = {
    type: "arrays",
    arrays: new Map([["lora_A", { dtype: "float64", shape: [1], data: Float64Array.of(1) }]]),
  };
  assert.throws(() => deflateMessage(metadata, new Map([["x", wrong]])), {
    name: "TypeError",
    message:
      "Cannot write an array: expected float32 in a Float32Array, got float64 in a Float64Array (lora_A)",
  });
});
