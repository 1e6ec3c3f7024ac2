import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { settleDevice } from "../settle.ts";
import { packageVersion } from "./package_version.ts";
import type { LoadedPeer } from "./peer.ts";

/** A tensor of TensorFlow.js. */
export interface TfTensor {
  readonly shape: number[];
  data(): Promise<Float32Array | Int32Array>;
  dispose(): void;
}

interface WebGpuBackend {
  readonly device: GPUDevice;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

/**
 * The part of `@tensorflow/tfjs-core` that the suites use; the packages are installed for the benchmarks alone, and so are
 * their types.
 */
export interface TensorFlow {
  setBackend(name: "webgpu"): Promise<boolean>;
  backend(): WebGpuBackend;
  tensor(data: Float32Array | Int32Array, shape: readonly number[], dtype?: "float32" | "int32"): TfTensor;
  zeros(shape: readonly number[]): TfTensor;
  tidy<T>(body: () => T): T;
  dispose(tensors: TfTensor | readonly TfTensor[]): void;
  matMul(a: TfTensor, b: TfTensor, transposeA?: boolean, transposeB?: boolean): TfTensor;
  add(a: TfTensor, b: TfTensor | number): TfTensor;
  sub(a: TfTensor, b: TfTensor | number): TfTensor;
  mul(a: TfTensor, b: TfTensor | number): TfTensor;
  div(a: TfTensor, b: TfTensor | number): TfTensor;
  sqrt(x: TfTensor): TfTensor;
  rsqrt(x: TfTensor): TfTensor;
  square(x: TfTensor): TfTensor;
  erf(x: TfTensor): TfTensor;
  softmax(x: TfTensor): TfTensor;
  logSoftmax(x: TfTensor): TfTensor;
  mean(x: TfTensor, axis?: number | readonly number[], keepDims?: boolean): TfTensor;
  sum(x: TfTensor, axis?: number | readonly number[], keepDims?: boolean): TfTensor;
  reshape(x: TfTensor, shape: readonly number[]): TfTensor;
  transpose(x: TfTensor, permutation?: readonly number[]): TfTensor;
  slice(x: TfTensor, begin: readonly number[], size: readonly number[]): TfTensor;
  gather(x: TfTensor, indices: TfTensor): TfTensor;
  readonly fused: {
    /** a·b + bias in one kernel. */
    matMul(options: { a: TfTensor; b: TfTensor; transposeB?: boolean; bias?: TfTensor }): TfTensor;
  };
  /** The function's value and its gradients by each argument. */
  valueAndGrads(
    body: (...args: TfTensor[]) => TfTensor,
  ): (args: readonly TfTensor[]) => { value: TfTensor; grads: TfTensor[] };
}

/** TensorFlow.js and a way to wait for it. */
export interface Tfjs {
  readonly tf: TensorFlow;
  /** Submits what was recorded and waits until it is done. */
  settle(): Promise<void>;
}

/** TensorFlow.js with its WebGPU backend. */
export async function loadTfjs(): Promise<LoadedPeer<Tfjs>> {
  const [core, backendPackage]: string[] = [
    "@tensorflow/tfjs-core",
    "@tensorflow/tfjs-backend-webgpu",
  ];
  const tf = await import(core!) as TensorFlow;
  await import(backendPackage!);
  await registerGradients();
  if (!await tf.setBackend("webgpu")) {
    throw new Error("its WebGPU backend does not start");
  }
  const backend = tf.backend();
  const settle = async () => {
    backend.endComputePassEncoder();
    backend.submitQueue();
    await settleDevice(backend.device);
  };
  return {
    handle: { tf, settle },
    version: packageVersion(backendPackage!),
    adapter: backend.device.adapterInfo.description,
  };
}

/**
 * Gives TensorFlow.js its gradients: tfjs-core keeps them apart, in modules that Node can't import as they stand. Its registry
 * is global, so that a bundle of them reaches it.
 */
async function registerGradients(): Promise<void> {
  const { outputFiles } = await build({
    stdin: {
      contents: 'import "@tensorflow/tfjs-core/dist/register_all_gradients.js";',
      resolveDir: fileURLToPath(new URL("..", import.meta.url)),
    },
    bundle: true,
    format: "esm",
    platform: "node",
    write: false,
  });
  const code = Buffer.from(outputFiles[0]!.contents).toString("base64");
  await import(`data:text/javascript;base64,${code}`);
}
