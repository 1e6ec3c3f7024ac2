import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { deflateMessage } from "../../../../src/network/flower/objects/deflate.ts";
import {
  type FlowerObject,
  makeObject,
  type ObjectType,
  parseObject,
} from "../../../../src/network/flower/objects/flower_object.ts";
import { inflateRecords } from "../../../../src/network/flower/objects/inflate.ts";
import { pythonJson } from "../../../../src/network/flower/objects/python_json.ts";
import { encodeNpy } from "../../../../src/network/flower/records/npy.ts";
import { float32Array, type FlowerRecord, type FlowerRecords } from "../../../../src/network/mod.ts";
import { shapes } from "../../../support/arbitraries.ts";
import { VECTORS } from "../vectors.ts";

const LIMIT = { maxBytes: 2 ** 20 };
const metadata = {
  runId: 1n,
  srcNodeId: 1n,
  dstNodeId: 2n,
  replyToMessageId: "",
  groupId: "",
  ttl: 1,
  messageType: "train",
  createdAt: 1e9,
};

/** Objects of one's own making, of which the last one is the message. */
class Objects {
  readonly all = new Map<string, FlowerObject>();

  add(type: ObjectType, children: string[], body: string | Uint8Array): string {
    const object = makeObject(
      type,
      children,
      typeof body === "string" ? new TextEncoder().encode(body) : body,
    );
    this.all.set(object.id, object);
    return object.id;
  }

  /** A message of one record that is named r. */
  inflate(record: string, name = "r"): FlowerRecords {
    const dict = this.add("RecordDict", [record], pythonJson(new Map([[name, record]])));
    return inflateRecords(this.add("Message", [dict], ""), this.all, LIMIT);
  }

  /** An array of these chunks. */
  array(chunks: Uint8Array[], body: object): string {
    return this.add("Array", chunks.map((chunk) => this.add("ArrayChunk", [], chunk)), JSON.stringify(body));
  }

  arrays(array: string): string {
    return this.add("ArrayRecord", [array], pythonJson(new Map([["w", array]])));
  }
}

const npy = encodeNpy(float32Array([2, 2], Float32Array.of(1, 2, 3, 4)));
const body = { dtype: "float32", shape: [2, 2], stype: "numpy.ndarray", arraychunk_ids: [0] };

test("parseObject() reads the objects of Flower's own code", () => {
  for (const vector of Object.values(VECTORS)) {
    if (!("hex" in vector)) continue;
    const object = parseObject(vector.id, Buffer.from(vector.hex, "hex"));
    assert.equal(makeObject(object.type as ObjectType, object.children, object.body).id, vector.id);
  }
});

test("inflateRecords() reads the records of Flower's own code", () => {
  const objects = new Map<string, FlowerObject>();
  for (const vector of Object.values(VECTORS)) {
    if ("hex" in vector) objects.set(vector.id, parseObject(vector.id, Buffer.from(vector.hex, "hex")));
  }
  const records = inflateRecords(VECTORS.message.id, objects, LIMIT);
  assert.deepEqual([...records.keys()], ["arrays", "metrics"]);
  assert.deepEqual(records.get("arrays"), {
    type: "arrays",
    arrays: new Map([["w", float32Array([2, 2], Float32Array.of(1, 2, 3, 4))]]),
  });
  assert.deepEqual(records.get("metrics"), {
    type: "metrics",
    values: new Map<string, unknown>([["num-examples", 7n], ["loss", 0.5], ["neg", -3n], ["l", [1, 2]], [
      "i",
      [1n, -1n],
    ]]),
  });
});

test("inflateRecords() reads what deflateMessage() made, in order", () => {
  const array = shapes({ maxSize: 60 }).map((shape) =>
    float32Array(shape, Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i))
  );
  const name = fc.string({ unit: "binary" });
  const record: fc.Arbitrary<FlowerRecord> = fc.oneof(
    fc.array(fc.tuple(name, array), { maxLength: 4 }).map((arrays) =>
      ({ type: "arrays", arrays: new Map(arrays) }) as const
    ),
    fc.array(fc.tuple(fc.string(), fc.double()), { maxLength: 4 }).map((values) =>
      ({ type: "metrics", values: new Map(values) }) as const
    ),
  );
  const set = fc.array(fc.tuple(name, record), { maxLength: 3 }).map((entries) => new Map(entries));
  fc.assert(fc.property(set, (records) => {
    const objects = deflateMessage(metadata, records);
    const parsed = new Map([...objects].map(([id, { bytes }]) => [id, parseObject(id, bytes.slice())]));
    const read = inflateRecords([...objects.keys()].at(-1)!, parsed, LIMIT);
    assert.deepEqual([...read], [...records]);
    assert.deepEqual([...read.values()].map(namesOf), [...records.values()].map(namesOf));
  }));
});

function namesOf(record: FlowerRecord): string[] {
  return [...(record.type === "arrays" ? record.arrays : record.values).keys()];
}

test("inflateRecords() joins chunks of any size, also one that is used twice", () => {
  const objects = new Objects();
  const zeros = encodeNpy(float32Array([32], new Float32Array(32)));
  const parts = [zeros.subarray(0, 128), zeros.subarray(128, 192)];
  const array = objects.array(parts, { ...body, shape: [32], arraychunk_ids: [0, 1, 1] });
  assert.deepEqual(objects.inflate(objects.arrays(array)).get("r"), {
    type: "arrays",
    arrays: new Map([["w", float32Array([32], new Float32Array(32))]]),
  });
});

test("inflateRecords() refuses objects that are not what they should be, and names the place", () => {
  const cases: [(objects: Objects) => string, RegExp][] = [
    [
      (o) => o.add("Array", [], "{}"),
      /expected ArrayRecord or MetricRecord or ConfigRecord, got Array \(r\)$/,
    ],
    [(o) => o.add("ArrayRecord", [], "[]"), /expected names of ids in JSON \(r\)$/],
    [(o) => o.add("ArrayRecord", [], Uint8Array.of(0xff)), /its text isn't UTF-8 \(r\)$/],
    [
      (o) => o.add("ArrayRecord", [], pythonJson(new Map([["w", "ab".repeat(32)]]))),
      /it is none of its parent's children \(w\) \(r\)$/,
    ],
    [(o) => o.arrays("ab".repeat(32)), /^Cannot read object (ab){32}: it wasn't announced \(w\) \(r\)$/],
    [(o) => o.arrays(o.add("Array", [], "{}")), /^Cannot read array [0-9a-f]{64}: .*dtype/s],
    [(o) => o.arrays(o.add("Array", [], "nonsense")), /^Cannot read array [0-9a-f]{64}: /],
    [
      (o) => o.arrays(o.array([npy], { ...body, stype: "torch" })),
      /expected the serialization numpy\.ndarray, got "torch" \(w\) \(r\)$/,
    ],
    [(o) => o.arrays(o.array([npy], { ...body, arraychunk_ids: [1] })), /expected a chunk below 1, got 1/],
    [(o) => o.arrays(o.array([npy], { ...body, arraychunk_ids: [-1] })), /Cannot read array/],
    [
      (o) => o.arrays(o.array([npy], { ...body, arraychunk_ids: Array(10_000).fill(0) })),
      /are larger than the node's limit/,
    ],
    [
      (o) => o.arrays(o.array([npy], { ...body, shape: [4] })),
      /its bytes are float32 \[2, 2\], and it says float32 \[4\]/,
    ],
    [(o) => o.arrays(o.array([npy], { ...body, dtype: "float64" })), /and it says float64 \[2, 2\]/],
    [
      (o) => o.arrays(o.array([npy.subarray(0, 140)], body)),
      /expected 16 bytes of float32 for shape \[2, 2\], got 12 \(w\) \(r\)$/,
    ],
    [(o) => o.add("MetricRecord", [], "\u000f"), /\(r\)$/],
  ];
  for (const [make, message] of cases) {
    const objects = new Objects();
    assert.throws(() => objects.inflate(make(objects)), { name: "FlowerFormatError", message });
  }
  const objects = new Objects();
  const empty = objects.add("Message", [], "");
  assert.throws(() => inflateRecords(empty, objects.all, LIMIT), {
    message: /expected one set of records, got 0$/,
  });
});

test("parseObject() refuses what isn't an object of its id", () => {
  const wrong: [string | Uint8Array, RegExp][] = [
    ["", /expected a header that ends in a zero$/],
    ["Message  3", /expected a header that ends in a zero$/],
    ["Message  3\0ab", /expected a body of 3 bytes, got 2$/],
    ["Message  3\0abcd", /expected a body of 3 bytes, got 4$/],
    ["Message 3\0abc", /expected a header of type, children and length, got "Message 3"$/],
    ["Message  -3\0abc", /expected a header of type/],
    ["Message ab 3\0abc", /expected ids of children, got "ab"$/],
    [`Message ${"ab".repeat(32)}, 3\0abc`, /expected ids of children, got ""$/],
    [Uint8Array.of(0xff, 0), /expected a header of type/],
  ];
  for (const [content, message] of wrong) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const [, id] = /hash ([0-9a-f]{64})$/.exec(errorText(() => parseObject("0".repeat(64), bytes)))!;
    assert.throws(() => parseObject(id!, bytes), { name: "FlowerFormatError", message });
  }
});

function errorText(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}
