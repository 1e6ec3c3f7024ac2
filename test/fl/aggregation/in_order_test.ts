import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tensor } from "../../../src/engine/mod.ts";
import type { Finished } from "../../../src/fl/mod.ts";
import { InOrder } from "../../../src/fl/aggregation/in_order.ts";
import { holds, testGpu } from "../../engine/harness.ts";

const gpu = await testGpu();

/** What clients send together: of each, values that tell which client it is. */
function outcomeOf(ids: readonly number[], { keeps = false } = {}): Finished {
  const rows = (shift: number) =>
    tensor(gpu, ids.flatMap((id) => [id + shift, -id, 2 * id]), { shape: [ids.length, 3] });
  return {
    clients: ids.map((id) => ({ id, numExamples: id + 1, lastRound: 0 })),
    values: new Map([["x", rows(0)], ["y", rows(0.5)]]),
    keep: new Map(keeps ? [["z", rows(0.25)]] : []),
    losses: ids.map((id) => id / 8),
    bytesUp: ids.map((id) => 100 + id),
    bytesDown: ids.map((id) => 200 + id),
  };
}

/** Checks that a piece is of clients that follow each other, and gives their numbers. */
async function check({ clients, values, keep, losses, bytesUp, bytesDown }: Finished, keeps: boolean) {
  const ids = clients.map(({ id }) => id);
  const rows = (shift: number) => ids.flatMap((id) => [id + shift, -id, 2 * id]);
  assert.deepEqual([...await values.get("x")!.floats()], rows(0));
  assert.deepEqual([...await values.get("y")!.floats()], rows(0.5));
  if (keeps) assert.deepEqual([...await keep.get("z")!.floats()], rows(0.25));
  assert.deepEqual(losses, ids.map((id) => id / 8));
  assert.deepEqual(bytesUp, ids.map((id) => 100 + id));
  assert.deepEqual(bytesDown, ids.map((id) => 200 + id));
  return ids;
}

/** What becomes of a cohort: groups that come together, and clients that are lost or never heard of. */
const arrivals = fc.uniqueArray(fc.integer({ min: 0, max: 99 }), { minLength: 1, maxLength: 12 }).chain((
  ids,
) =>
  fc.record({
    order: fc.shuffledSubarray(ids, { minLength: ids.length, maxLength: ids.length }),
    sizes: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: ids.length, maxLength: ids.length }),
    fates: fc.array(fc.constantFrom("comes", "comes", "comes", "lost", "silent"), {
      minLength: ids.length,
      maxLength: ids.length,
    }),
    keeps: fc.boolean(),
  })
);

test("InOrder hands on whoever came in the order of client numbers, however they were grouped", async () => {
  await holds(arrivals, async ({ order, sizes, fates, keeps }) => {
    const before = gpu.stats().liveBytes;
    const cohort = [...order].sort((a, b) => a - b);
    const line = new InOrder(cohort);
    const found: number[] = [];
    const came: number[] = [];
    const take = async () => {
      for (const piece of line.ready()) {
        assert.ok(piece.clients.length > 0);
        found.push(...await check(piece, keeps));
      }
      // Whoever is next in line has been handed on.
      const gone = new Set([...found, ...lost]);
      const next = cohort.find((id) => !gone.has(id));
      assert.ok(next === undefined || !came.includes(next), `${next} waits without need`);
    };
    const lost: number[] = [];
    const silent: number[] = [];
    for (let at = 0, group = 0; at < order.length; group++) {
      const size = sizes[group]!;
      const fate = fates[group]!;
      const ids = order.slice(at, at += size);
      if (fate === "comes") {
        line.add(outcomeOf(ids, { keeps }));
        came.push(...ids);
      } else if (fate === "lost") {
        for (const id of ids) line.lose(id);
        lost.push(...ids);
      } else silent.push(...ids);
      await take();
    }
    assert.deepEqual(line.loseMissing(), silent.sort((a, b) => a - b));
    lost.push(...silent);
    await take();
    assert.deepEqual(found, [...came].sort((a, b) => a - b));
    assert.equal(gpu.stats().liveBytes, before, "all that was handed on is free");
    line.dispose();
  }, 60);
});

test("InOrder frees each tensor once: with its last member, or in the end", async () => {
  const before = gpu.stats().liveBytes;
  const outcome = outcomeOf([1, 3]);
  const disposed: string[] = [];
  for (const [name, each] of outcome.values) {
    const dispose = each.dispose.bind(each);
    each.dispose = () => {
      disposed.push(name);
      dispose();
    };
  }
  const line = new InOrder([1, 2, 3]);
  line.add(outcome);
  for (const piece of line.ready()) assert.deepEqual(await check(piece, false), [1]);
  assert.deepEqual(disposed, [], "client 3 waits for 2");
  line.add(outcomeOf([2]));
  const found = [];
  for (const piece of line.ready()) found.push(...await check(piece, false));
  assert.deepEqual([found, disposed], [[2, 3], ["x", "y"]]);
  line.dispose();
  assert.deepEqual(disposed, ["x", "y"]);

  const left = new InOrder([1, 2, 3]);
  left.add(outcomeOf([3, 1]));
  for (const _ of left.ready()) break;
  left.add(outcomeOf([2]));
  left.dispose();
  left.dispose();
  assert.equal(gpu.stats().liveBytes, before);
});

test("InOrder refuses strangers and whoever comes twice, and frees what it refuses", () => {
  const before = gpu.stats().liveBytes;
  const twice = { name: "RangeError", message: /client 2.*: it has sent something or was lost before/ };
  const stranger = { name: "RangeError", message: /client 9.*: it isn't in this round/ };
  const line = new InOrder([1, 2, 3, 4]);
  assert.throws(() => line.add(outcomeOf([1, 1])), {
    name: "RangeError",
    message: /client 1: it comes twice/,
  });
  assert.throws(() => line.add(outcomeOf([1, 9])), stranger);
  assert.throws(() => line.lose(9), stranger);
  line.add(outcomeOf([2]));
  assert.throws(() => line.add(outcomeOf([1, 2])), twice, "it waits");
  assert.throws(() => line.lose(2), twice);
  // What was refused left no trace.
  line.add(outcomeOf([1]));
  const found = [...line.ready()].flatMap(({ clients }) => clients.map(({ id }) => id));
  assert.deepEqual(found, [1, 2]);
  assert.throws(() => line.add(outcomeOf([2])), twice, "it had its turn");
  line.lose(3);
  assert.throws(() => line.lose(3), { name: "RangeError", message: /client 3/ });
  assert.throws(() => line.add(outcomeOf([3])), { name: "RangeError", message: /client 3/ });
  line.dispose();
  assert.equal(gpu.stats().liveBytes, before);
});
