import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backward } from "../../../src/engine/backward.ts";
import { OutOfMemoryError } from "../../../src/engine/errors.ts";
import { Gpu } from "../../../src/engine/gpu/device.ts";
import { zeros } from "../../../src/engine/ops/create.ts";
import { exp, mul } from "../../../src/engine/ops/elementwise.ts";
import { matmul } from "../../../src/engine/ops/matmul/matmul.ts";
import { sum } from "../../../src/engine/ops/reduction/reduce.ts";
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

test("Gpu.rehearse() predicts the bytes that the same commands take, and takes none", () => {
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

test("Gpu.rehearse() reports tensors over the binding limit, and ends with its body", async () => {
  const gpu = openFresh();
  const tooMany = gpu.maxBindingBytes / 4 + 1;
  assert.throws(() => gpu.rehearse(() => void zeros(gpu, [tooMany])), OutOfMemoryError);
  await assert.rejects(gpu.rehearse(async () => void zeros(gpu, [tooMany])), OutOfMemoryError);
  assert.equal(gpu.isRehearsing, false);
  const again = { name: "TypeError", message: /Cannot rehearse during another rehearsal/ };
  assert.throws(() => gpu.rehearse(() => void gpu.rehearse(() => {})), again);
  await assert.rejects(gpu.rehearse(async () => void await gpu.rehearse(async () => {})), again);
  assert.deepEqual([...await zeros(gpu, [2]).data()], [0, 0]);
});

test("Gpu.rehearse() of an asynchronous body gives zeros for what is read and predicts the same bytes", async () => {
  const gpu = openFresh();
  using weight = tensor(gpu, new Float32Array(37 * 37).fill(0.5), { shape: [37, 37] }).requireGrad();
  const before = gpu.stats();
  const rounds = async (reads: number[][]) => {
    for (let round = 0; round < 2; round++) {
      train(weight, 2);
      reads.push([...await tidy(() => mul(weight, 2)).data()]);
      await new Promise((resolve) => setTimeout(resolve, 1));
      assert.equal(await gpu.throttle(0), 0);
    }
  };
  const reads: number[][] = [];
  const rehearsing = gpu.rehearse(() => rounds(reads));
  assert.ok(gpu.isRehearsing);
  const peakBytes = await rehearsing;
  assert.equal(gpu.isRehearsing, false);
  assert.deepEqual(reads, [1, 2].map(() => new Array(37 * 37).fill(0)));
  assert.deepEqual(gpu.stats(), before);
  assert.deepEqual([...await weight.floats()], new Array(37 * 37).fill(0.5));
  await rounds([]);
  assert.equal(gpu.stats().peakBytes, before.liveBytes + peakBytes);
  gpu.trim();
});

test("Gpu.rehearse() refuses the device to others meanwhile, but for readbacks they have asked for", async () => {
  const gpu = openFresh();
  using x = tensor(gpu, [1, 2]);
  using doubled = mul(x, 2);
  const reading = doubled.floats();
  let end = () => {};
  const rehearsing = gpu.rehearse(() => new Promise<void>((resolve) => end = resolve));
  const refused = { name: "TypeError", message: /Cannot use the GPU device while others rehearse on it/ };
  assert.throws(() => mul(x, 2), refused);
  assert.throws(() => x.write(Float32Array.of(3, 4)), refused);
  await assert.rejects(x.data(), refused);
  await assert.rejects(gpu.throttle(), refused);
  assert.deepEqual([...await reading], [2, 4]);
  end();
  assert.equal(await rehearsing, 0);
  assert.deepEqual([...await x.floats()], [1, 2]);
});

test("Gpu.rehearse() leaves nothing behind that could be used: its tensors are refused afterwards", async () => {
  const gpu = openFresh();
  let ghost: Tensor | undefined;
  await gpu.rehearse(async () => void (ghost = tensor(gpu, [1])));
  const refused = { name: "TypeError", message: /Cannot use a tensor made in a rehearsal/ };
  assert.throws(() => mul(ghost!, 2), refused);
  assert.throws(() => ghost!.write(Float32Array.of(1)), refused);
  await assert.rejects(ghost!.data(), refused);
  ghost!.dispose();
});

test("emptyPacked() takes a second storage where the adapter can't bind the first any longer", () => {
  const gpu = openFresh();
  gpu.rehearse(() => {
    const third = Math.floor(gpu.maxBindingBytes / 4 / 3);
    const storages = emptyPacked(gpu, [[third], [1], [third], [third], [third]]).map((each) => each.storage);
    assert.deepEqual(storages.map((each) => storages.indexOf(each)), [0, 0, 0, 3, 3]);
  });
});
