import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backward } from "../../../src/engine/backward.ts";
import { Linear } from "../../../src/engine/nn/layers.ts";
import { selfAttention } from "../../../src/engine/ops/attention/attention.ts";
import { fill } from "../../../src/engine/ops/create.ts";
import { add, gelu, mul, neg } from "../../../src/engine/ops/elementwise.ts";
import { embedding } from "../../../src/engine/ops/embedding.ts";
import { layerNorm } from "../../../src/engine/ops/reduction/layer_norm.ts";
import { linear } from "../../../src/engine/ops/matmul/linear.ts";
import { crossEntropy } from "../../../src/engine/ops/reduction/loss.ts";
import { dropout } from "../../../src/engine/ops/random.ts";
import { mean, sum } from "../../../src/engine/ops/reduction/reduce.ts";
import { slice } from "../../../src/engine/ops/shape.ts";
import { AdamW } from "../../../src/engine/optim/adamw.ts";
import { type Tensor, tensor } from "../../../src/engine/tensor.ts";
import { tidy } from "../../../src/engine/tidy.ts";
import { testGpu } from "../harness.ts";

const gpu = await testGpu();

test("Tensor.write() does not overtake recorded operations that read the tensor", async () => {
  using x = tensor(gpu, [1, 2]);
  using before = mul(x, 10);
  x.write(Float32Array.of(3, 4));
  using after = mul(x, 10);
  assert.deepEqual([...await before.data()], [10, 20]);
  assert.deepEqual([...await after.data()], [30, 40]);
});

test("Tensor.write() into a view does not overtake operations on its base, nor is it overtaken", async () => {
  using x = tensor(gpu, new Float32Array(512).fill(1), { shape: [2, 256] });
  using view = slice(x, { start: 1, end: 2 });
  using before = sum(x);
  view.write(new Float32Array(256).fill(2));
  using after = sum(x);
  fill(view, 5);
  using last = sum(x);
  assert.deepEqual([await before.item(), await after.item(), await last.item()], [512, 768, 256 + 5 * 256]);
});

test("tensor() in a reused buffer does not overtake operations on the last owner", async () => {
  const results: Tensor[] = [];
  for (let i = 0; i < 20; i++) {
    results.push(tidy(() => mul(tensor(gpu, [i, i]), 2)));
  }
  for (const [i, each] of results.entries()) {
    assert.deepEqual([...await each.data()], [2 * i, 2 * i]);
    each.dispose();
  }
});

test("writes, reads and operations in any order give what they give one by one", async () => {
  const steps = fc.array(
    fc.record({
      kind: fc.constantFrom("write", "add", "copy", "fill", "read", "flush"),
      from: fc.nat({ max: 3 }),
      to: fc.nat({ max: 3 }),
      value: fc.integer({ min: -50, max: 50 }),
    }),
    { maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (commands) => {
      const cells: Tensor[] = Array.from({ length: 4 }, () => tensor(gpu, [0]));
      const expected = [0, 0, 0, 0];
      const replace = (to: number, next: Tensor) => {
        cells[to]!.dispose();
        cells[to] = next;
      };
      for (const { kind, from, to, value } of commands) {
        if (kind === "write") cells[to]!.write(Float32Array.of(expected[to] = value));
        if (kind === "fill") fill(cells[to]!, expected[to] = value);
        if (kind === "flush") gpu.flush();
        if (kind === "read") assert.equal(await cells[to]!.item(), expected[to]);
        if (kind === "copy") {
          replace(to, neg(cells[from]!));
          expected[to] = -expected[from]!;
        }
        if (kind === "add") {
          replace(to, tidy(() => add(cells[from]!, value)));
          expected[to] = Math.fround(expected[from]! + value);
        }
      }
      // Several reads at once, too. −0 equals 0 here.
      const found = await Promise.all(cells.map((each) => each.item()));
      assert.ok(found.every((value, i) => value === expected[i]), `${found} instead of ${expected}`);
      for (const each of cells) each.dispose();
    }),
    { numRuns: 60 },
  );
});

test("more operations than one submit holds each get their own parameters", async () => {
  const before = gpu.stats();
  using y = tidy(() => {
    let x = tensor(gpu, [0]);
    for (let i = 1; i <= 3000; i++) x = add(x, i);
    return x;
  });
  // The sum of 1 … 3000 is exact in float32.
  assert.equal(await y.item(), 3000 * 3001 / 2);
  const { dispatches, submits } = gpu.stats();
  assert.equal(dispatches - before.dispatches, 3000);
  // 512 to a submit; the memory of 3000 tensors in one scope may force no more than a few others.
  assert.ok(
    submits - before.submits >= 5 && submits - before.submits <= 8,
    `${submits - before.submits} submits`,
  );
});

test("nothing is submitted before a readback asks for it", async () => {
  await tidy(() => mul(tensor(gpu, [1]), 1)).data();
  const { submits } = gpu.stats();
  using y = tidy(() => mul(add(tensor(gpu, [1]), 1), 3));
  assert.ok(gpu.stats().submits <= submits + 1, "one at most, for a write into a buffer that waits");
  assert.equal(await y.item(), 6);
});

test("Gpu.read() reads what was there when it was asked, whatever is written before it's awaited", async () => {
  using x = tensor(gpu, [1, 2]);
  await x.data();
  const { submits } = gpu.stats();
  const first = x.data();
  x.write(Float32Array.of(3, 4));
  const second = x.data();
  fill(x, 5);
  const third = x.data();
  const found = await Promise.all([first, second, third]);
  assert.deepEqual(found.map((each) => [...each]), [[1, 2], [3, 4], [5, 5]]);
  // The write overtakes nothing, so it took a submit of its own.
  assert.equal(gpu.stats().submits - submits, 2);
});

test("Gpu.throttle() waits for steps too far ahead and loses nothing", async () => {
  let x = tensor(gpu, [0]);
  for (let i = 0; i < 30; i++) {
    const next = tidy(() => add(x, 1));
    x.dispose();
    x = next;
    await gpu.throttle(1);
  }
  assert.equal(await x.item(), 30);
  x.dispose();
});

test("Gpu.throttle() says how many calls' work is unfinished", async () => {
  const x = tensor(gpu, [0]);
  await gpu.throttle(0);
  const unfinished: number[] = [];
  for (let i = 0; i < 4; i++) {
    fill(x, i);
    unfinished.push(await gpu.throttle(2));
  }
  // Nothing was recorded since the last call: it has no work of its own.
  for (const ahead of [2, 1, 0, 0]) unfinished.push(await gpu.throttle(ahead));
  assert.deepEqual(unfinished, [1, 2, 2, 2, 2, 1, 0, 0]);
  x.dispose();
});

test("a steady training step creates no buffer, no bind group and no pipeline, and keeps no memory", async () => {
  const [members, batch, tokens, width, classes] = [3, 2, 5, 12, 4];
  const random = (...shape: number[]) =>
    tensor(gpu, Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * 1.7)), {
      shape,
    });
  const table = random(11, width);
  const qkv = new Linear(random(3 * width, width), random(3 * width));
  const adapters = [
    random(members, width, width),
    random(members, width),
    random(members, width),
    random(members, classes, width),
    random(members, classes),
  ].map((each) => each.requireGrad());
  const [w, gamma, beta, head, headBias] = adapters as [Tensor, Tensor, Tensor, Tensor, Tensor];
  const optimizer = new AdamW(adapters);
  const keys = tensor(gpu, new Uint32Array(2 * members), { shape: [members, 2] });
  const ids = tensor(gpu, new Uint32Array(members * batch * tokens), { shape: [members, batch, tokens] });
  const labels = tensor(gpu, new Int32Array(members * batch), { shape: [members, batch] });
  const step = async (index: number) => {
    keys.write(Uint32Array.from({ length: 2 * members }, (_, i) => index * 100 + i));
    ids.write(Uint32Array.from({ length: ids.size }, (_, i) => (index + i * 7) % 11));
    const loss = tidy(() => {
      const attended = selfAttention(qkv.forward(embedding(table, ids)), { heads: 3 });
      const adapted = layerNorm(gelu(linear(attended, { weight: w })), { weight: gamma, bias: beta });
      const pooled = mean(dropout(adapted, { rate: 0.1, keys, site: 0 }), { axes: [2] });
      const total = sum(crossEntropy(linear(pooled, { weight: head, bias: headBias }), labels));
      const gradients = backward(total, adapters);
      optimizer.step(gradients, { learningRate: 0.01, clipNorm: 1 });
      return total;
    });
    const value = await loss.item();
    loss.dispose();
    return value;
  };
  const losses = [];
  for (let i = 0; i < 3; i++) losses.push(await step(i));
  const warm = gpu.stats();
  for (let i = 3; i < 12; i++) losses.push(await step(i));
  const { liveBytes, created, bindGroups, pipelines, peakBytes, submits } = gpu.stats();
  // One of each step reads its loss; the other two are for writes into buffers that wait.
  assert.ok(submits - warm.submits <= 3 * 9, `${submits - warm.submits} submits in 9 steps`);
  assert.deepEqual(
    { liveBytes, created, bindGroups, pipelines, peakBytes },
    {
      liveBytes: warm.liveBytes,
      created: warm.created,
      bindGroups: warm.bindGroups,
      pipelines: warm.pipelines,
      peakBytes: warm.peakBytes,
    },
  );
  assert.ok(losses.at(-1)! < losses[0]!, `the loss falls: ${losses}`);
});
