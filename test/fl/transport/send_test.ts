import assert from "node:assert/strict";
import { test } from "node:test";
import { randomKey, type Tensor, tensor } from "../../../src/engine/mod.ts";
import {
  codecConfig,
  type CodecConfigInput,
  createCodec,
  decodePayload,
} from "../../../src/fl/transport/mod.ts";
import { keptBySending, sendUploads } from "../../../src/fl/transport/send.ts";
import { bitsOf, testGpu } from "../../engine/harness.ts";

const gpu = await testGpu();
const codecOf = (config: CodecConfigInput) => createCodec(codecConfig.parse(config));
const clients = [{ id: 4 }, { id: 17 }];
const upload = (data: readonly number[], shape: readonly number[]): Tensor =>
  tensor(gpu, Float32Array.from(data), { shape });
/** Multiples of 1/64, so that sums and differences are exact. */
const values = (seed: number, n: number) =>
  Array.from({ length: n }, (_, i) => Math.round(64 * Math.sin(seed + i)) / 64);
const bytesBefore = () => gpu.stats().liveBytes;

test("sendUploads() gives the start and the decoded change, in the bits of each client's payload", async () => {
  const before = bytesBefore();
  const [x, y, extra] = [values(1, 6), values(2, 12), values(3, 8)];
  for (const choice of ["f16", "bf16", "int8", "int4"] as const) {
    const codec = codecOf(choice);
    const tensors = { x: upload(x, [2, 3]), y: upload(y, [2, 2, 3]), extra: upload(extra, [2, 4]) };
    const { received, keep } = sendUploads(new Map([["a", tensors.y], ["extra", tensors.extra]]), codec, {
      seed: 5,
      round: 3,
      clients,
      start: new Map([["a", tensors.x]]),
      kept: new Map(),
    });
    assert.equal(keep.size, 0);
    const [a, rest] = await Promise.all(["a", "extra"].map((name) => received.get(name)!.floats()));
    clients.forEach(({ id }, c) => {
      const change = Float32Array.from(x, (value, i) => y[6 * c + i]! - value);
      const payload = codec.encode(
        new Map([
          ["a", { shape: [2, 3], data: change }],
          ["extra", { shape: [4], data: Float32Array.from(extra.slice(4 * c, 4 * c + 4)) }],
        ]),
        { key: randomKey(5, "codec", 3, id) },
      );
      const decoded = decodePayload(payload);
      const expected = decoded.get("a")!.data.map((value, i) => Math.fround(x[i]! + value));
      assert.deepEqual(bitsOf(a!.slice(6 * c, 6 * c + 6)), bitsOf(expected));
      assert.deepEqual(bitsOf(rest!.slice(4 * c, 4 * c + 4)), bitsOf(decoded.get("extra")!.data));
    });
    for (const each of [...Object.values(tensors), ...received.values()]) each.dispose();
    assert.equal(bytesBefore(), before);
  }
});

test("sendUploads() keeps what topk leaves out, and sends it with a later change: nothing is lost for good", async () => {
  const before = bytesBefore();
  const codec = codecOf({ name: "topk", share: 0.1 });
  const n = 30;
  const start = upload(new Array(n).fill(0), [n]);
  const shapes = keptBySending(codec, new Map([["a", [n]]]));
  assert.deepEqual([...shapes], [["lost/a", [n]]]);
  let kept = new Map([["lost/a", upload(new Array(2 * n).fill(0), [2, n])]]);
  const sums = new Float64Array(2 * n);
  const arrived = new Float64Array(2 * n);
  // Twenty rounds of changes, then ten without: three values a round are just enough for the thirty that can be left.
  for (let round = 1; round <= 30; round++) {
    const change = round <= 20 ? values(round, 2 * n) : new Array<number>(2 * n).fill(0);
    const sent = upload(change, [2, n]);
    const { received, keep } = sendUploads(new Map([["a", sent]]), codec, {
      seed: 1,
      round,
      clients,
      start: new Map([["a", start]]),
      kept,
    });
    const [decoded, lost] = await Promise.all([received.get("a")!.floats(), keep.get("lost/a")!.floats()]);
    change.forEach((value, i) => {
      sums[i]! += value;
      arrived[i]! += decoded[i]!;
    });
    for (const c of [0, 1]) {
      const count = decoded.slice(c * n, (c + 1) * n).filter((value) => value !== 0).length;
      assert.ok(round <= 20 ? count === 3 : count <= 3, `${count} values in round ${round}`);
    }
    // What has arrived and what is still kept make up all changes. All are multiples of 1/64 below 2^17, so sums are exact.
    assert.deepEqual(Array.from(lost, (value, i) => value + arrived[i]!), [...sums]);
    for (const each of [sent, ...received.values(), ...kept.values()]) each.dispose();
    kept = new Map([...keep]);
  }
  assert.deepEqual(arrived, sums);
  for (const each of [start, ...kept.values()]) each.dispose();
  assert.equal(bytesBefore(), before);
});
