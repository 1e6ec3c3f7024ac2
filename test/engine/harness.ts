import assert from "node:assert/strict";
import { after } from "node:test";
import fc from "fast-check";
import { backward } from "../../src/engine/backward.ts";
import { type AdapterClass, Gpu } from "../../src/engine/gpu/device.ts";
import { openGpu } from "../../src/engine/gpu/open_gpu.ts";
import { mul } from "../../src/engine/ops/elementwise.ts";
import { sum } from "../../src/engine/ops/reduction/reduce.ts";
import { type Tensor, tensor } from "../../src/engine/tensor.ts";
import { tidy } from "../../src/engine/tidy.ts";
import { F64Array } from "../reference/array.ts";
import { gaussian } from "../support/matrices.ts";
import { Random } from "../support/random.ts";

/** A device for one test file, closed after its tests. */
export async function testGpu(adapterClass?: AdapterClass): Promise<Gpu> {
  const gpu = await openGpu(adapterClass === undefined ? {} : { adapterClass });
  after(() => gpu.close());
  return gpu;
}

/** Copies an oracle's array to the GPU. */
export function upload(gpu: Gpu, { data, shape }: F64Array): Tensor {
  return tensor(gpu, new Float32Array(data), { shape });
}

/** Copies integers to the GPU. */
export function uploadIntegers(gpu: Gpu, { data, shape }: F64Array, dtype: "u32" | "i32" = "u32"): Tensor {
  return tensor(gpu, dtype === "u32" ? Uint32Array.from(data) : Int32Array.from(data), { shape });
}

/** What {@link evaluate} found. */
export interface Evaluation {
  readonly shape: readonly number[];
  readonly y: Float32Array;
  /** The gradient of the result that went in: order 1, exact float32. */
  readonly dy: F64Array;
  /** One for each input. */
  readonly gradients: readonly Float32Array[];
}

/** What {@link evaluate} needs. */
export interface EvaluateOptions {
  readonly inputs: readonly F64Array[];
  /** Makes the gradient of the result. */
  readonly seed?: number;
  /** Gradients that each kernel family may sum in an order of its own, by index. */
  readonly ownOrder?: readonly number[];
  /** Takes this gradient of the result instead of a random one. */
  readonly dy?: (shape: readonly number[]) => F64Array;
}

/**
 * The result of `f` and the gradients of Σ f·dy by every input. Fails where an operation leaks memory: afterwards as
 * many bytes are alive as before.
 */
export async function evaluate(
  gpu: Gpu,
  f: (...inputs: Tensor[]) => Tensor,
  options: EvaluateOptions,
): Promise<Evaluation> {
  const { inputs, seed = 1 } = options;
  const before = gpu.stats().liveBytes;
  const random = (shape: readonly number[]) =>
    F64Array.fromF32(shape, gaussian(shape, new Random(seed)).data);
  const { y, dy, gradients } = tidy(() => {
    const leaves = inputs.map((input) => upload(gpu, input).requireGrad());
    const result = f(...leaves);
    const weights = (options.dy ?? random)(result.shape);
    const loss = sum(mul(result, upload(gpu, weights)));
    return { y: result, dy: weights, gradients: backward(loss, leaves) };
  });
  gradients.forEach((gradient, i) => assert.deepEqual(gradient.shape, inputs[i]!.shape, `gradient ${i}`));
  const found = {
    shape: y.shape,
    y: await y.floats(),
    dy,
    gradients: await Promise.all(gradients.map((each) => each.floats())),
  };
  for (const each of [y, ...gradients]) each.dispose();
  assert.equal(gpu.stats().liveBytes, before, "bytes alive after the operation and its gradient");
  return found;
}

/** The elements of the result of `f`, which is freed with all that it used. */
export async function run(gpu: Gpu, f: () => Tensor): Promise<Float32Array> {
  const before = gpu.stats().liveBytes;
  const y = tidy(f);
  const data = await y.data();
  y.dispose();
  assert.equal(gpu.stats().liveBytes, before, "bytes alive after the operation");
  return new Float32Array(data);
}

/** Bits of float32 numbers, to compare them exactly: NaN equals itself and −0 differs from 0. */
export function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** Runs a property on `numRuns` random cases; a failure prints its seed and the smallest counterexample. */
export async function holds<Case>(
  cases: fc.Arbitrary<Case>,
  property: (values: Case) => Promise<void>,
  numRuns = 60,
): Promise<void> {
  await fc.assert(fc.asyncProperty(cases, property), { numRuns });
}

/** The two kernel families of a matrix product, both on the one adapter of this machine. */
export async function testFamilies(): Promise<Record<string, Gpu>> {
  return { cpu: await testGpu("cpu"), gpu: await testGpu("gpu") };
}

/** As {@link testFamilies}, and the CPU's kernels as they are where the size of a subgroup is not known. */
export async function testAllFamilies(): Promise<Record<string, Gpu>> {
  const { cpu, gpu } = await testFamilies() as { cpu: Gpu; gpu: Gpu };
  const { subgroupSize: _, ...adapter } = cpu.adapter;
  return { cpu, "cpu without subgroups": new Gpu(cpu.device, adapter, 2 ** 28), gpu };
}

/** Evaluates on every family and proves that all give the same bits, which are those of the result. */
export async function evaluateEverywhere(
  families: Readonly<Record<string, Gpu>>,
  f: (gpu: Gpu, inputs: Tensor[]) => Tensor,
  options: EvaluateOptions,
): Promise<Evaluation> {
  let first: Evaluation | undefined;
  for (const [name, gpu] of Object.entries(families)) {
    const found = await evaluate(gpu, (...inputs) => f(gpu, inputs), options);
    first ??= found;
    assert.deepEqual(bitsOf(found.y), bitsOf(first.y), `result of family ${name}`);
    found.gradients.forEach((each, i) => {
      if (options.ownOrder?.includes(i)) return;
      assert.deepEqual(bitsOf(each), bitsOf(first!.gradients[i]!), `gradient ${i} of family ${name}`);
    });
  }
  return first!;
}
