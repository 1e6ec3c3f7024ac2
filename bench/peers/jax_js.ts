import { packageVersion } from "./package_version.ts";
import type { LoadedPeer } from "./peer.ts";

/** An array of jax-js, or its stand-in while a function is traced. Every operation consumes it; `ref` counts one more use. */
export interface JaxArray {
  readonly ref: this;
  readonly shape: number[];
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray | number): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray | number): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  transpose(permutation?: readonly number[]): JaxArray;
  /** Part of each axis: a place, `[start, end]`, `[]` for all of it, or integers of another array. */
  slice(...index: (number | readonly number[] | JaxArray)[]): JaxArray;
  sum(axis?: number | readonly number[], options?: { keepdims?: boolean }): JaxArray;
  mean(axis?: number | readonly number[], options?: { keepdims?: boolean }): JaxArray;
  data(): Promise<Float32Array | Int32Array | Uint32Array>;
  blockUntilReady(): Promise<JaxArray>;
  dispose(): void;
}

/** Arrays in a structure of lists and plain objects. */
export type JaxTree = JaxArray | readonly JaxTree[] | { readonly [key: string]: JaxTree };

type Axis = number | readonly number[];

/** The part of `@jax-js/jax` that the suites use; the package is installed for the benchmarks alone, and so are its types. */
export interface Jax {
  init(device: "webgpu"): Promise<readonly string[]>;
  defaultDevice(device: "webgpu"): string;
  getWebGPUDevice(): GPUDevice;
  blockUntilReady<Tree extends JaxTree>(tree: Tree): Promise<Tree>;
  jit<A extends readonly JaxTree[], R extends JaxTree>(body: (...args: A) => R): (...args: A) => R;
  /** The function's value and its gradient by the first argument. */
  valueAndGrad<A extends readonly JaxTree[]>(
    body: (...args: A) => JaxArray,
  ): (...args: A) => [JaxArray, A[0]];
  /** The function's gradient by the first argument. */
  grad<A extends readonly JaxTree[]>(body: (...args: A) => JaxArray): (...args: A) => A[0];
  readonly tree: {
    ref<Tree extends JaxTree>(tree: Tree): Tree;
    dispose(tree: JaxTree): void;
  };
  readonly numpy: {
    array(
      data: Float32Array | Int32Array | Uint32Array,
      options: { shape: readonly number[]; dtype?: "float32" | "int32" | "uint32" },
    ): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    swapaxes(x: JaxArray, first: number, second: number): JaxArray;
    /** Zeros before and after each axis. */
    pad(x: JaxArray, widths: readonly (readonly [number, number])[]): JaxArray;
    sqrt(x: JaxArray): JaxArray;
    square(x: JaxArray): JaxArray;
    take(x: JaxArray, indices: JaxArray, axis: number): JaxArray;
    sum(x: JaxArray, axis?: Axis, options?: { keepdims?: boolean }): JaxArray;
    tanh(x: JaxArray): JaxArray;
    readonly linalg: {
      /** u, s and vᵀ, thin. */
      svd(a: JaxArray, options?: { fullMatrices?: boolean }): [JaxArray, JaxArray, JaxArray];
    };
  };
  readonly nn: {
    gelu(x: JaxArray, options?: { approximate?: boolean }): JaxArray;
    relu(x: JaxArray): JaxArray;
    softmax(x: JaxArray, axis?: Axis): JaxArray;
    logSoftmax(x: JaxArray, axis?: Axis): JaxArray;
    /** (x − μ)/√(σ² + ε). */
    standardize(x: JaxArray, axis?: Axis, options?: { epsilon?: number }): JaxArray;
  };
}

/** jax-js on WebGPU. */
export async function loadJaxJs(): Promise<LoadedPeer<Jax>> {
  const specifier: string = "@jax-js/jax";
  const jax = await import(specifier) as Jax;
  const devices = await jax.init("webgpu");
  if (!devices.includes("webgpu")) {
    throw new Error(`it has no WebGPU device, only ${devices.join(", ")}`);
  }
  jax.defaultDevice("webgpu");
  return {
    handle: jax,
    version: packageVersion(specifier),
    adapter: jax.getWebGPUDevice().adapterInfo.description,
  };
}
