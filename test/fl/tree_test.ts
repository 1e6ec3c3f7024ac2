import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Tensor, tensor } from "../../src/engine/mod.ts";
import { decodeRunState, encodeRunState, hostStore, type HostTensors, type Tree } from "../../src/fl/mod.ts";
import { decodeTree, disposeTree, encodeTree, tensorsOf } from "../../src/fl/tree.ts";
import { bitsOf, holds, testGpu } from "../engine/harness.ts";

const gpu = await testGpu();

const floats = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { maxLength: 9 });
const names = fc.string({ maxLength: 12, unit: "binary" });

/** A tree as a test describes it: `["tensor", values]` and `["array", values]` stand for those. */
const described = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, 0, -1.5, 1e300, "", "tensor", "ünï"),
    fc.tuple(fc.constant("tensor"), floats),
    fc.tuple(fc.constant("array"), floats),
    fc.tuple(fc.constant("list"), fc.array(tie("tree"), { maxLength: 4 })),
    fc.tuple(
      fc.constant("map"),
      fc.uniqueArray(fc.tuple(names, floats), { selector: ([name]) => name, maxLength: 4 }),
    ),
    fc.tuple(
      fc.constant("object"),
      fc.uniqueArray(fc.tuple(names.filter((name) => name !== "__proto__"), tie("tree")), {
        selector: ([name]) => name,
        maxLength: 4,
      }),
    ),
  ),
})).tree;

function build(node: unknown): Tree {
  if (!Array.isArray(node)) return node as Tree;
  const [kind, content] = node as [string, never];
  switch (kind) {
    case "tensor":
      return tensor(gpu, Float32Array.from(content as number[]));
    case "array":
      return Float32Array.from(content as number[]);
    case "list":
      return (content as unknown[]).map(build);
    case "map":
      return new Map(
        (content as [string, number[]][]).map((
          [name, values],
        ) => [name, tensor(gpu, Float32Array.from(values))]),
      );
    default:
      return Object.fromEntries((content as [string, unknown][]).map(([name, each]) => [name, build(each)]));
  }
}

/** A tree without tensors, for comparison; bits of floats. */
async function plain(tree: Tree): Promise<unknown> {
  if (tree instanceof Tensor) return { shape: tree.shape, bits: bitsOf(await tree.floats()) };
  if (tree instanceof Float32Array) return { bits: bitsOf(tree) };
  if (tree instanceof Map) {
    return await Promise.all([...tree].map(async ([name, each]) => [name, await plain(each as Tensor)]));
  }
  if (Array.isArray(tree)) return await Promise.all(tree.map(plain));
  if (tree === null || typeof tree !== "object") return tree;
  return await Promise.all(
    Object.entries(tree as Record<string, Tree>).map(async ([name, each]) => [name, await plain(each)]),
  );
}

test("decodeTree() gives back any tree that encodeTree() took apart, bit for bit, and disposeTree() frees it", async () => {
  const before = gpu.stats().liveBytes;
  await holds(described, async (description) => {
    const tree = build(description);
    const encoded = await encodeTree(tree);
    const back = decodeTree(gpu, { ...encoded, structure: JSON.parse(JSON.stringify(encoded.structure)) });
    assert.deepEqual(await plain(back), await plain(tree));
    disposeTree(tree);
    disposeTree(back);
  }, 60);
  assert.equal(gpu.stats().liveBytes, before);
});

test("encodeTree() refuses numbers that JSON can't hold", async () => {
  for (const value of [NaN, Infinity]) {
    await assert.rejects(encodeTree({ a: [value] }), {
      name: "TypeError",
      message: /Cannot store the number/,
    });
  }
});

test("disposeTree() leaves what another tree holds too", () => {
  const [a, b] = [tensor(gpu, [1]), tensor(gpu, [2])];
  disposeTree({ a, b, again: a }, new Map([["kept", b]]));
  assert.deepEqual([a.disposed, b.disposed], [true, false]);
  assert.deepEqual([...tensorsOf([b, { x: new Map([["y", b]]) }])], [b, b]);
  b.dispose();
});

test("decodeRunState() gives back what encodeRunState() wrote, equal states in equal bytes", async () => {
  const kept: HostTensors = new Map([["head.w/x", { shape: [2, 1], data: Float32Array.of(1, -0) }]]);
  const state = {
    round: 7,
    method: { global: new Map([["a", tensor(gpu, [1, 2, 3, 4], { shape: [2, 2] })]]), count: 3 },
    lastRounds: [0, 7, 3],
    clients: await hostStore().save(new Map([[2, kept], [11, kept]])),
  };
  const bytes = await encodeRunState(state, { metadata: { base: "abc" } });
  const decoded = decodeRunState(gpu, bytes);
  assert.deepEqual(decoded.metadata, { base: "abc" });
  assert.deepEqual(await encodeRunState(decoded.state, { metadata: { base: "abc" } }), bytes);
  assert.deepEqual([decoded.state.round, decoded.state.lastRounds], [7, [0, 7, 3]]);
  assert.deepEqual(decoded.state.clients.clients, [2, 11]);
  assert.deepEqual(await decoded.state.clients.load(11), kept);
  assert.equal(await decoded.state.clients.load(1), undefined);
  assert.deepEqual(await plain(decoded.state.method), await plain(state.method));
});

test("decodeRunState() refuses files that are cut, changed or of another version", async () => {
  const state = { round: 1, method: { x: tensor(gpu, [1, 2]) }, lastRounds: [1], clients: hostStore() };
  const bytes = await encodeRunState(state);
  const before = gpu.stats().liveBytes;
  for (let cut = 0; cut < bytes.length; cut += 7) {
    assert.throws(() => decodeRunState(gpu, bytes.slice(0, cut)), { name: "CorruptFileError" });
  }
  const text = new TextDecoder("latin1").decode(bytes);
  const changed = (from: string, to: string) => {
    assert.ok(text.includes(from) && from.length === to.length);
    return Uint8Array.from(text.replace(from, to), (char) => char.charCodeAt(0));
  };
  for (
    const [from, to, message] of [
      ['"version":"1"', '"version":"2"', /a later version of federa wrote it, in format 2; this one reads 1/],
      ['"format":"federa-run-state"', '"format":"federa-run-stete"', /its format must be/],
      ['"round":"1"', '"round":"x"', /its round is missing or damaged/],
      ['"lastRounds":"[1]"', '"lastRounds":"{1]"', /its lastRounds is missing or damaged/],
      ["method/0", "method/1", /it lacks tensor 0/],
    ] as const
  ) {
    assert.throws(() => decodeRunState(gpu, changed(from, to)), { name: "CorruptFileError", message });
  }
  assert.equal(gpu.stats().liveBytes, before);
});

test("hostStore() never changes: saving gives another store", async () => {
  const one: HostTensors = new Map([["x", { shape: [1], data: Float32Array.of(1) }]]);
  const two: HostTensors = new Map([["x", { shape: [1], data: Float32Array.of(2) }]]);
  const first = await hostStore().save(new Map([[3, one]]));
  const second = await first.save(new Map([[3, two], [1, one]]));
  assert.equal(await first.load(3), one);
  assert.equal(await second.load(3), two);
  assert.deepEqual([first.clients, second.clients], [[3], [1, 3]]);
});
