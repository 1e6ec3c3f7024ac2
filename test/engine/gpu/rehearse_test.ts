import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backward } from "../../../src/engine/backward.ts";
import { OutOfMemoryError } from "../../../src/engine/errors.ts";
import { Gpu } from "../../../src/engine/gpu/device.ts";
import { zeros } from "../../../src/engine/ops/create.ts";
import { exp, mul } from "../../../src/engine/ops/elementwise.ts";
import { matmul } from "../../../src/engine/ops/matmul.ts";
import { sum } from "../../../src/engine/ops/reduce.ts";
import { AdamW } from "../../../src/engine/optim/adamw.ts";
import { emptyPacked } from "../../../src/engine/optim/packed.ts";
import { type Tensor, tensor } from "../../../src/engine/tensor.ts";
import { disposeAll, tidy } from "../../../src/engine/tidy.ts";
import { testGpu } from "../harness.ts";

const { device, adapter } = await testGpu();
const openFresh = () => new Gpu(device, adapter, 2 ** 28);

/** Some steps of training a [n, n] weight. */
function train(weight: Tensor, steps: number): void {
  const { gpu, shape } = weight;
  const optimizer = tidy(() => new AdamW([weight]));
  const into = emptyPacked(gpu, [shape]);
  for (let i = 0; i < steps; i++) {
    tidy(() => {
      const x = tensor(gpu, new Float32Array(7 * shape[0]!).fill(1), { shape: [7, shape[0]!] });
      const y = exp(mul(matmul(x, weight), 0.1));
      backward(sum(mul(y, y)), [weight], { into });
      optimizer.step(into, { learningRate: 0.1, clipNorm: 1 });
    });
  }
  optimizer.dispose();
  disposeAll(into);
}

test("Gpu.rehearse() foretells the bytes that the same commands take, and takes none", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 3 }), (size, steps) => {
      const gpu = openFresh();
      const weight = zeros(gpu, [size, size]).requireGrad();
      const before = gpu.stats();
      const peakBytes = gpu.rehearse(() => train(weight, steps));
      assert.deepEqual(gpu.stats(), before);
      train(weight, steps);
      assert.equal(gpu.stats().peakBytes, before.liveBytes + peakBytes);
      gpu.trim();
    }),
    { numRuns: 15 },
  );
});

test("Gpu.rehearse() leaves values alone, and buffers of both kinds go back where they came from", async () => {
  const gpu = openFresh();
  const [x, gone] = [tensor(gpu, [1, 2]), tensor(gpu, [3])];
  const before = gpu.stats().liveBytes;
  let late: Tensor | undefined;
  gpu.rehearse(() => {
    x.write(Float32Array.of(9, 9));
    gone.dispose();
    late = mul(x, 2);
  });
  late!.dispose();
  assert.equal(gpu.stats().liveBytes, before - 256);
  assert.deepEqual([...await x.floats()], [1, 2]);
  gpu.trim();
});

test("Gpu.rehearse() reports tensors over the binding limit, refuses readbacks, and ends with its body", async () => {
  const gpu = openFresh();
  const tooMany = gpu.maxBindingBytes / 4 + 1;
  assert.throws(() => gpu.rehearse(() => zeros(gpu, [tooMany])), OutOfMemoryError);
  let reading: Promise<unknown> | undefined;
  gpu.rehearse(() => {
    reading = zeros(gpu, [1]).data();
    reading.catch(() => {});
  });
  await assert.rejects(reading!, { name: "TypeError", message: /Cannot read back in a rehearsal/ });
  assert.throws(() => gpu.rehearse(() => gpu.rehearse(() => {})), { name: "TypeError" });
  assert.deepEqual([...await zeros(gpu, [2]).data()], [0, 0]);
});

test("emptyPacked() takes a second storage where the adapter can't bind the first any longer", () => {
  const gpu = openFresh();
  gpu.rehearse(() => {
    const third = Math.floor(gpu.maxBindingBytes / 4 / 3);
    const storages = emptyPacked(gpu, [[third], [1], [third], [third], [third]]).map((each) => each.storage);
    assert.deepEqual(storages.map((each) => storages.indexOf(each)), [0, 0, 0, 3, 3]);
  });
});
