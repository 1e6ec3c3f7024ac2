import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tensor } from "../../../../src/engine/mod.ts";
import { decodeTree } from "../../../../src/fl/tree.ts";
import type { Finished, Lost } from "../../../../src/fl/participants.ts";
import { WrongResultError } from "../../../../src/network/nats/workers/errors.ts";
import {
  blockSchema,
  decodeMessage,
  encodeMessage,
  helloSchema,
} from "../../../../src/network/nats/workers/messages.ts";
import { queueNames, workerPermissions } from "../../../../src/network/nats/workers/names.ts";
import {
  decodeOutcomes,
  encodeOutcomes,
  type ExpectedOutcome,
} from "../../../../src/network/nats/workers/outcome_bytes.ts";
import {
  decodeHost,
  decodeKept,
  decodeState,
  encodeHost,
  encodeKept,
  encodeState,
} from "../../../../src/network/nats/workers/state_bytes.ts";
import { decodeSharedOut, encodeSharedOut } from "../../../../src/network/nats/workers/task_set_bytes.ts";
import { testGpu } from "../../../engine/harness.ts";

const gpu = await testGpu();
const place = { job: "a".repeat(64), round: 3, block: 1 };
const client = (id: number) => ({ id, numExamples: 4, lastRound: 0 });
const expected: ExpectedOutcome = {
  place,
  clients: [client(4), client(6), client(9)],
  values: new Map([["w", [2]]]),
  keep: new Map([["c", []]]),
  isFinite: true,
};

function finished(more: Partial<Finished> = {}): Finished {
  return {
    clients: [client(4), client(9)],
    values: new Map([["w", tensor(gpu, [1, -0, 3, 1e-40], { shape: [2, 2] })]]),
    keep: new Map([["c", tensor(gpu, [5, 6], { shape: [2] })]]),
    losses: [0.1, 1 / 3],
    bytesUp: [8, 9],
    bytesDown: [1, 2],
    ...more,
  };
}
const lost: Lost = { client: client(6), phase: "training", reason: "its loss is NaN", diverged: true };

test("decodeOutcomes() gives back what encodeOutcomes() got, bit for bit", async () => {
  const bytes = await encodeOutcomes([finished(), lost], place);
  const [one, other] = decodeOutcomes(gpu, bytes, expected) as [Finished, Lost];
  assert.deepEqual(other, lost);
  const { values, keep, ...plain } = one;
  const { values: _, keep: __, ...wanted } = finished();
  assert.deepEqual(plain, wanted);
  assert.deepEqual([...await values.get("w")!.floats()].map((x) => [x, Object.is(x, -0)]), [
    [1, false],
    [0, true].map((x) => x === 0 ? -0 : x),
    [3, false],
    [Math.fround(1e-40), false],
  ]);
  assert.deepEqual([...await keep.get("c")!.floats()], [5, 6]);
});

test("decodeOutcomes() says what isn't as it was asked for, and puts nothing on the device", async () => {
  const held = gpu.stats().liveBytes;
  const refuse = async (
    outcomes: readonly (Finished | Lost)[],
    why: RegExp,
    more: Partial<ExpectedOutcome> = {},
  ) => {
    const bytes = await encodeOutcomes(outcomes, place);
    assert.throws(() => decodeOutcomes(gpu, bytes, { ...expected, ...more }), (error: Error) => {
      assert(error instanceof WrongResultError, `${error}`);
      assert.match(error.message, why);
      return true;
    });
  };
  const own = { clients: [client(4)], losses: [0], bytesUp: [0], bytesDown: [0] };
  const w = (data: number[], shape: number[]) => new Map([["w", tensor(gpu, data, { shape })]]);
  const c = () => new Map([["c", tensor(gpu, [0], { shape: [1] })]]);
  await refuse([finished(), lost], /it is of round 3, expected 4/, { place: { ...place, round: 4 } });
  await refuse([finished()], /it has nothing of client 6/);
  await refuse([finished(), lost, lost], /it has client 6 twice, or one that wasn't asked/);
  await refuse(
    [{ ...own, values: w([0, 0, 0], [1, 3]), keep: c() }],
    /w must have shape \[1, 2\], got \[1, 3\]/,
  );
  await refuse([{ ...own, values: w([0, Infinity], [1, 2]), keep: c() }], /w has a value that isn't finite/);
  await refuse([{ ...own, values: w([0, 0], [1, 2]), keep: new Map() }], /it lacks keep c/);
  await refuse([{ ...own, values: new Map([...w([0, 0], [1, 2]), ["v", tensor(gpu, [0])]]), keep: c() }, {
    ...lost,
  }, { ...lost, client: client(9) }], /it has 0\/values\/v, which nobody asked for/);
  await refuse([{ ...own, losses: [], values: w([0, 0], [1, 2]), keep: c() }], /aren't of as many clients/);
  assert.equal(gpu.stats().liveBytes, held);
});

test("decodeOutcomes() throws nothing else for broken and hostile bytes", async () => {
  const whole = await encodeOutcomes([finished(), lost], place);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1 }),
      fc.nat(whole.length),
      (changes, end) => {
        const bytes = whole.slice(0, Math.max(end, 1));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        try {
          for (const each of decodeOutcomes(gpu, bytes, expected)) {
            if ("values" in each) {
              for (const tensor of [...each.values.values(), ...each.keep.values()]) {
                tensor.dispose();
              }
            }
          }
        } catch (error) {
          assert(error instanceof WrongResultError, `${error}`);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("states, what clients keep, and data come back as they were", async () => {
  using w = tensor(gpu, [1, 2, 3, 4], { shape: [2, 2] });
  const state = { global: new Map([["w", w]]), steps: 3, inner: [null, true, "x"] };
  const decoded = decodeTree(gpu, decodeState(await encodeState(state))) as typeof state;
  assert.deepEqual([decoded.steps, decoded.inner, [...await decoded.global.get("w")!.floats()]], [3, [
    null,
    true,
    "x",
  ], [1, 2, 3, 4]]);
  decoded.global.get("w")!.dispose();

  const c = { shape: [2], data: Float32Array.of(7, 8) };
  const kept = [undefined, new Map([["a/c", c]]), new Map()];
  const clients = [client(1), client(2), client(3)];
  const bytes = encodeKept(kept, clients);
  assert.deepEqual(decodeKept(bytes, 3), kept);
  assert.throws(() => decodeKept(bytes, 2), /expected 2 clients, got 3/);
  assert.notDeepEqual(encodeKept([kept[1]], [client(1)]), encodeKept([kept[1]], [client(2)]));
  assert.deepEqual(decodeHost(encodeHost(new Map([["c", c]]), { a: "b" })).metadata["a"], "b");

  const column = { data: Uint32Array.of(5, 6, 7, 0), shape: [2], perToken: true };
  const train = {
    numExamples: 2,
    size: 2,
    length: 2,
    inputs: { inputIds: column },
    targets: Int32Array.of(1, 0),
    targetsPerRow: 1,
    firstRows: Uint32Array.of(0, 1, 2),
    numTruncated: 1,
  };
  const shared = { train, clients: [[1], [0, 1], []] };
  assert.deepEqual(decodeSharedOut(encodeSharedOut(shared)), shared);
  assert.throws(
    () => decodeSharedOut(encodeSharedOut({ ...shared, train: { ...train, firstRows: Uint32Array.of(0) } })),
    /its firstRows is missing or of another size/,
  );
});

test("decodeMessage() gives nothing for what isn't of its schema", () => {
  const hello = { worker: "a", kind: { federa: "1", arithmetic: 2, adapter: "x" } };
  assert.deepEqual(decodeMessage(helloSchema, encodeMessage(hello)), hello);
  for (
    const other of [{ ...hello, more: 1 }, { ...hello, worker: "" }, [], {
      worker: "a".repeat(300),
      kind: hello.kind,
    }]
  ) {
    assert.equal(decodeMessage(helloSchema, encodeMessage(other)), undefined);
  }
  for (const bytes of [[], [0xff, 0xfe], [123]]) {
    assert.equal(decodeMessage(blockSchema, Uint8Array.from(bytes)), undefined);
  }
});

test("queueNames() has names for one word alone, and workers may publish nowhere else", () => {
  assert.throws(() => queueNames("a.b"), /Cannot use the queue "a.b": expected 1 to 64 letters/);
  const { publish, subscribe } = workerPermissions("mail-7");
  for (const subject of [...publish, ...subscribe]) assert.match(subject, /mail-7/);
});
