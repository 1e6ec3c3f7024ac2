import assert from "node:assert/strict";
import { test } from "node:test";
import { add, mul } from "../../src/engine/ops/elementwise.ts";
import { reshape } from "../../src/engine/ops/shape.ts";
import { type Tensor, tensor } from "../../src/engine/tensor.ts";
import { keep, tidy } from "../../src/engine/tidy.ts";
import { testGpu } from "./harness.ts";

const gpu = await testGpu();
const make = () => tensor(gpu, [1, 2, 3]);
const live = () => gpu.stats().liveBytes;

test("tidy() disposes what its body made and keeps its result, in any container", () => {
  const before = live();
  let scratch!: Tensor;
  const result = tidy(() => {
    scratch = make();
    const [a, b, c, d, e] = [make(), make(), make(), make(), make()];
    return { list: [a, [b]], map: new Map([["c", c]]), set: new Set([d]), e, text: "x", nothing: null };
  });
  assert.ok(scratch.disposed);
  const kept = [
    result.list[0],
    (result.list[1] as Tensor[])[0],
    result.map.get("c"),
    [...result.set][0],
    result.e,
  ] as Tensor[];
  assert.ok(kept.every((each) => !each.disposed));
  for (const each of kept) each.dispose();
  assert.equal(live(), before);
});

test("tidy() hands its result to the scope around it", () => {
  const before = live();
  let inner!: Tensor;
  const outer = tidy(() => {
    inner = tidy(() => mul(make(), 2));
    assert.ok(!inner.disposed);
    return add(inner, inner);
  });
  assert.ok(inner.disposed && !outer.disposed);
  outer.dispose();
  assert.equal(live(), before);
});

test("tidy() disposes everything when its body throws, and passes the error on", () => {
  const before = live();
  let made!: Tensor;
  const body = () => {
    made = make();
    throw new Error("broken");
  };
  assert.throws(() => tidy(body), /broken/);
  assert.ok(made.disposed);
  assert.equal(live(), before);
  const after = make();
  assert.ok(!after.disposed, "the scope has ended");
  after.dispose();
});

test("tidy() refuses an asynchronous body and disposes what it made", () => {
  const before = live();
  assert.throws(() => tidy(async () => make()), {
    name: "TypeError",
    message: /Cannot tidy an asynchronous body/,
  });
  assert.equal(live(), before);
});

test("tidy() leaves tensors from outside alone", () => {
  using outside = make();
  assert.equal(tidy(() => outside), outside);
  tidy(() => mul(outside, 2));
  assert.ok(!outside.disposed);
});

test("keep() takes a tensor out of its scope, whichever scope is open", () => {
  const before = live();
  const [first, second] = tidy(() => {
    const tensors = [make(), make()] as const;
    keep(tensors[0]);
    tidy(() => {
      keep(tensors[1]);
    });
    return [new WeakRef(tensors[0]), new WeakRef(tensors[1])];
  }).map((each) => each.deref()!);
  assert.deepEqual([first!.disposed, second!.disposed], [false, false]);
  first!.dispose();
  second!.dispose();
  assert.equal(live(), before);
});

test("Tensor.dispose() frees memory with the last view of it, and twice is once", async () => {
  const before = live();
  const x = make();
  const view = reshape(x, [3, 1]);
  x.dispose();
  x.dispose();
  assert.ok(live() > before);
  assert.deepEqual([...await view.data()], [1, 2, 3]);
  view[Symbol.dispose]();
  assert.equal(live(), before);
});

test("a disposed tensor cannot be used, and says so with its shape", async () => {
  using other = make();
  const x = make();
  x.dispose();
  const message = /Cannot use a disposed tensor of shape \[3\]/;
  assert.throws(() => mul(x, other), { name: "TypeError", message });
  assert.throws(() => mul(x, 2), { name: "TypeError", message });
  assert.throws(() => reshape(x, [3, 1]), { name: "TypeError", message });
  assert.throws(() => x.detach(), { name: "TypeError", message });
  assert.throws(() => x.write(Float32Array.of(1, 2, 3)), { name: "TypeError", message });
  await assert.rejects(x.data(), { name: "TypeError", message });
});

test("an operation that throws leaves no memory behind", () => {
  using x = make();
  using y = tensor(gpu, [1, 2]);
  const before = live();
  assert.throws(() => tidy(() => add(mul(x, 2), y)));
  assert.equal(live(), before);
});
