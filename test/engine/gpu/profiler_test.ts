import assert from "node:assert/strict";
import { test } from "node:test";
import { MissingFeatureError } from "../../../src/engine/errors.ts";
import { Gpu } from "../../../src/engine/gpu/device.ts";
import { Kernel } from "../../../src/engine/gpu/kernel.ts";
import { add, gelu, mul } from "../../../src/engine/ops/elementwise.ts";
import { layerNorm } from "../../../src/engine/ops/reduction/layer_norm.ts";
import { launch } from "../../../src/engine/ops/launch.ts";
import { empty, type Tensor, tensor } from "../../../src/engine/tensor.ts";
import { disposeAll, tidy } from "../../../src/engine/tidy.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";
import { bitsOf, testGpu } from "../harness.ts";

const gpu = await testGpu();
const canProfile = gpu.device.features.has("timestamp-query");
const skip = canProfile ? false : "the adapter has no timestamp queries";

/** Doubles n numbers, and says what it costs. */
const doubleKernel = new Kernel({
  name: "double",
  source: `struct Params { n: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.n) { y[id.x] = f32(FACTOR) * x[id.x]; }
}`,
  bindings: ["read", "write"],
});

function double(x: Tensor, options: { flops?: number; detail?: string } = {}): Tensor {
  const y = empty(x.gpu, x.shape);
  launch(doubleKernel, {
    tensors: [x, y],
    params: [x.size],
    threads: x.size,
    constants: { FACTOR: 2, ODD: false, EVEN: true },
    ...options,
  });
  return y;
}

test("Profiler counts every launch of a kernel, its operations and its bytes", { skip }, async () => {
  using x = tensor(gpu, new Float32Array(1000).fill(3));
  const profiler = gpu.profile();
  for (let i = 0; i < 3; i++) double(x, { flops: 1000 }).dispose();
  for (let i = 0; i < 2; i++) double(x, { flops: 1000, detail: "small" }).dispose();
  gpu.flush();
  double(x, { detail: "small" }).dispose();
  mul(x, x).dispose();
  const { kernels, milliseconds, calls } = await profiler.stop();
  const found = kernels.map(({ milliseconds: _, ...rest }) => rest)
    .sort((a, b) => `${a.kernel}${a.variant}`.localeCompare(`${b.kernel}${b.variant}`));
  // 1000 floats are 250 vec4s, of each of two tensors; x is bound twice by the product, and counts once.
  assert.deepEqual(found, [
    { kernel: "binary", variant: "OP=MUL", calls: 1, flops: null, bytes: 8000 },
    { kernel: "double", variant: "FACTOR=2 EVEN", calls: 3, flops: 3000, bytes: 24_000 },
    { kernel: "double", variant: "small FACTOR=2 EVEN", calls: 3, flops: null, bytes: 24_000 },
  ]);
  assert.equal(calls, 7);
  assert.ok(milliseconds > 0 && kernels.every((each) => each.milliseconds >= 0));
  assert.equal(milliseconds, kernels.reduce((sum, each) => sum + each.milliseconds, 0));
  assert.deepEqual(
    kernels.map((each) => each.milliseconds),
    kernels.map((each) => each.milliseconds).sort((a, b) => b - a),
  );
});

test("Profiler times a hundredfold job longer than the job", { skip }, async () => {
  const time = async (n: number) => {
    const x = tensor(gpu, new Float32Array(n).fill(1));
    gelu(x).dispose();
    const profiler = gpu.profile();
    for (let i = 0; i < 5; i++) gelu(x).dispose();
    x.dispose();
    return (await profiler.stop()).milliseconds;
  };
  // Other work on the machine only makes a job longer.
  const least = async (n: number) => {
    const times: number[] = [];
    for (let i = 0; i < 5; i++) times.push(await time(n));
    return Math.min(...times);
  };
  const [small, large] = [await least(10_000), await least(1_000_000)];
  assert.ok(large > 5 * small, `${large} ms for a million, ${small} ms for ten thousand`);
});

test("Profiler keeps count over more launches than one submit holds", { skip }, async () => {
  const profiler = gpu.profile();
  using y = tidy(() => {
    let x = tensor(gpu, [0]);
    for (let i = 1; i <= 1500; i++) x = add(x, i);
    return x;
  });
  assert.equal(await y.item(), 1500 * 1501 / 2);
  const { kernels, calls } = await profiler.stop();
  assert.equal(calls, 1500);
  assert.deepEqual(kernels.map(({ kernel, calls }) => [kernel, calls]), [["unary", 1500]]);
});

test("Gpu.profile() changes no bit of a result, and leaves nothing behind", { skip }, async () => {
  const data = new Float32Array(gaussian([40, 96], new Random(7)).data);
  const compute = async () => {
    const y = tidy(() => {
      const x = tensor(gpu, data, { shape: [40, 96] });
      const weight = tensor(gpu, data.slice(0, 96));
      return gelu(layerNorm(x, { weight, bias: weight }));
    });
    const values = await y.floats();
    y.dispose();
    return bitsOf(values);
  };
  const before = await compute();
  const { liveBytes, submits } = gpu.stats();
  const profiler = gpu.profile();
  assert.throws(() => gpu.profile(), { name: "TypeError", message: /twice/ });
  assert.deepEqual(await compute(), before);
  assert.equal((await profiler.stop()).calls, 2);
  assert.deepEqual(await compute(), before);
  assert.equal(gpu.stats().liveBytes, liveBytes);
  assert.ok(gpu.stats().submits <= submits + 4);
  const again = gpu.profile();
  assert.deepEqual(await again.stop(), { kernels: [], milliseconds: 0, calls: 0 });
});

test("Gpu.profile() names the feature that an adapter lacks", async () => {
  const adapter = { ...gpu.adapter, description: "an old adapter" };
  const features = new Set([...gpu.device.features].filter((feature) => feature !== "timestamp-query"));
  const device = new Proxy(gpu.device, {
    get(target, name) {
      if (name === "features") return features;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const old = new Gpu(device, adapter, 0);
  assert.throws(
    () => old.profile(),
    (error) => error instanceof MissingFeatureError && /an old adapter.*timestamp-query/.test(error.message),
  );
  const y = tidy(() => double(tensor(old, [1, 2])));
  assert.deepEqual([...await y.data()], [2, 4]);
  disposeAll([y]);
});
