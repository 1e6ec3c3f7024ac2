import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { openGpu } from "../../../src/engine/gpu/open_gpu.ts";
import { Kernel } from "../../../src/engine/gpu/kernel.ts";
import { mul } from "../../../src/engine/ops/elementwise.ts";
import { type Tensor, tensor } from "../../../src/engine/tensor.ts";
import { runProgram } from "../../support/run_program.ts";

/** Fails instead of waiting for ever. */
async function within<T>(promise: Promise<T>, milliseconds = 10_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Nothing came within ${milliseconds} ms`)), milliseconds);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const broken = new Kernel({
  name: "broken",
  source: "@compute @workgroup_size(1) fn main() { nonsense; }",
  bindings: ["write"],
});
const launch = (x: Tensor) => ({ buffers: [x.range], params: [0], workgroups: [1, 1, 1] as const });

test("openGpu() describes its adapter, and takes another class where it is told to", async () => {
  using gpu = await openGpu();
  assert.ok(["cpu", "gpu"].includes(gpu.adapter.class));
  using other = await openGpu({ adapterClass: "gpu" });
  assert.equal(other.adapter.class, "gpu");
});

test("a closed device reports itself at every use", async () => {
  const gpu = await openGpu();
  const x = tensor(gpu, [1, 2]);
  assert.deepEqual([...await x.data()], [1, 2]);
  gpu.close();
  const lost = { name: "DeviceLostError", message: /Cannot use the GPU device: it was closed/ };
  assert.throws(() => tensor(gpu, [1]), lost);
  assert.throws(() => mul(x, 2), lost);
  assert.throws(() => x.write(Float32Array.of(1, 2)), lost);
  assert.throws(() => gpu.flush(), lost);
  await assert.rejects(within(x.data()), lost);
  await assert.rejects(within(gpu.throttle()), lost);
  x.dispose();
  gpu.close();
});

test("a readback that the loss of the device cuts off fails with DeviceLostError", async () => {
  const gpu = await openGpu();
  const x = tensor(gpu, new Float32Array(1 << 16));
  const reading = x.data();
  gpu.close();
  await assert.rejects(within(reading), { name: "DeviceLostError" });
});

test("a device lost from outside reports itself at the next readback and at every later use", async () => {
  const gpu = await openGpu();
  const x = tensor(gpu, [1]);
  await x.data();
  gpu.device.destroy();
  await assert.rejects(within(x.data()), { name: "DeviceLostError" });
  assert.throws(() => mul(x, 2), { name: "DeviceLostError" });
});

test("a kernel that does not compile fails by name at the next readback, every time, and the device lives on", async () => {
  using gpu = await openGpu();
  const x = tensor(gpu, [1, 2]);
  for (let i = 0; i < 3; i++) {
    gpu.dispatch(broken, launch(x));
    await assert.rejects(within(x.data()), {
      name: "GpuValidationError",
      message: /Cannot trust results since the last readback/,
    });
  }
  assert.deepEqual([...await within(x.data())], [1, 2]);
});

test("an error of the shader's compiler is named by the file and line of the original", async () => {
  using gpu = await openGpu();
  const x = tensor(gpu, [1, 2]);
  // wgpu finds an unknown name and a missing result in two passes, with messages of two forms.
  for (const body of ["{ return nonsense; }", "{ if (true) { return 1.0; } }"]) {
    const source =
      "//@from family/main.wgsl 1\n// What it does.\n//@from family/part.wgsl 7\n\n//@for i in 0..N\n" +
      `fn f{i}() -> f32 ${body}\n//@end\n//@from family/main.wgsl 3\n` +
      "@compute @workgroup_size(1) fn main() { _ = f0(); }";
    const kernel = new Kernel({ name: "misspelt", source, bindings: ["write"] });
    gpu.dispatch(kernel, { ...launch(x), constants: { N: 2 } });
    await assert.rejects(within(x.data()), {
      name: "GpuValidationError",
      message: /since the last readback: family\/part\.wgsl:9: /,
    });
  }
});

test("a kernel that the device refuses at launch fails at the next readback", async () => {
  using gpu = await openGpu();
  const x = tensor(gpu, [1, 2]);
  const kernel = new Kernel({
    name: "too_many",
    source:
      "@group(0) @binding(1) var<storage, read_write> y: array<f32>; @compute @workgroup_size(1) fn main() { y[0] = 5.0; }",
    bindings: ["write"],
  });
  gpu.dispatch(kernel, { ...launch(x), workgroups: [2 ** 20, 1, 1] });
  await assert.rejects(within(x.data()), { name: "GpuValidationError", message: /dispatch/i });
  gpu.dispatch(kernel, launch(x));
  assert.deepEqual([...await within(x.data())], [5, 2]);
});

test("several readbacks at once all learn of an error", async () => {
  using gpu = await openGpu();
  const x = tensor(gpu, [1, 2]);
  gpu.dispatch(broken, launch(x));
  const outcomes = await within(Promise.allSettled([x.data(), x.data()]));
  assert.ok(outcomes.some(({ status }) => status === "rejected"), "the error is not lost");
  assert.deepEqual([...await within(x.data())], [1, 2]);
});

test("operations refuse tensors of two devices", async () => {
  using first = await openGpu();
  using second = await openGpu();
  const [x, y] = [tensor(first, [1]), tensor(second, [1])];
  assert.throws(() => mul(x, y), { name: "TypeError", message: /different GPU devices/ });
});

test(
  "openGpu() without an adapter says what to install",
  { skip: process.platform !== "linux" },
  async () => {
    const program = `
    import process from "node:process";
    import { openGpu } from "./src/engine/mod.ts";
    try { await openGpu(); } catch (error) { process.stdout.write(error.name + ": " + error.message); }
  `;
    const nowhere = "/nonexistent/icd.json";
    const { stdout, stderr } = await runProgram(program, {
      environment: { VK_DRIVER_FILES: nowhere, VK_ICD_FILENAMES: nowhere },
    });
    assert.match(stdout, /^NoAdapterError: Cannot find a WebGPU adapter; install a Vulkan driver/, stderr);
  },
);
