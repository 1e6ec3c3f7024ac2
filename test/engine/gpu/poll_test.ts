import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as immediatePromise } from "node:timers/promises";
import { openGpu, tensor } from "../../../src/engine/mod.ts";

test("spaceOutPolls() leaves setImmediate of JavaScript callbacks alone", async () => {
  using gpu = await openGpu();
  const x = tensor(gpu, [1, 2, 3]);
  const seen: number[] = [];
  for (let i = 0; i < 300; i++) setImmediate((value: number) => seen.push(value), i);
  await immediatePromise();
  assert.deepEqual(seen, Array.from({ length: 300 }, (_, i) => i));
  assert.deepEqual([...await x.data()], [1, 2, 3]);
  x.dispose();
});

test("bound functions count as JavaScript", async () => {
  using gpu = await openGpu();
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    for (let i = 0; i < 250; i++) setImmediate(order.push.bind(order, "bound"));
    setImmediate(() => resolve());
  });
  assert.equal(order.length, 250);
  assert.ok(gpu.adapter.vendor.length > 0);
});
