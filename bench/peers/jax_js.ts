import { packageVersion } from "./package_version.ts";
import { type Peer, storedShapes } from "./peer.ts";

/** Consumed by every operation, unless its reference count is raised by `ref`. */
interface JaxArray {
  readonly ref: JaxArray;
  data(): Promise<ArrayLike<number>>;
  blockUntilReady(): Promise<JaxArray>;
  dispose(): void;
}

/** The little of jax-js that is used; the package is installed for the benchmarks alone. */
interface Jax {
  init(device: "webgpu"): Promise<readonly string[]>;
  defaultDevice(device: "webgpu"): string;
  getWebGPUDevice(): GPUDevice;
  jit<F extends (...args: JaxArray[]) => JaxArray>(body: F): F;
  readonly numpy: {
    array(data: Float32Array, options: { shape: readonly number[] }): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    swapaxes(x: JaxArray, first: number, second: number): JaxArray;
  };
}

/** jax-js on WebGPU, with the product compiled by `jit`. */
export async function loadJaxJs(): Promise<Peer> {
  const specifier: string = "@jax-js/jax";
  const jax = await import(specifier) as Jax;
  const devices = await jax.init("webgpu");
  if (!devices.includes("webgpu")) {
    throw new Error(`it has no WebGPU device, only ${devices.join(", ")}`);
  }
  jax.defaultDevice("webgpu");
  const { numpy: np } = jax;
  return {
    name: "jax-js",
    version: packageVersion(specifier),
    adapter: jax.getWebGPUDevice().adapterInfo.description,
    prepare: async (product, operands) => {
      const shapes = storedShapes(product);
      const swap = (x: JaxArray, flag = false) => flag ? np.swapaxes(x, -1, -2) : x;
      const multiply = jax.jit((a, b) => np.matmul(swap(a, product.transposeA), swap(b, product.transposeB)));
      const a = np.array(operands.a, { shape: shapes.a });
      const b = np.array(operands.b, { shape: shapes.b });
      await Promise.all([a.blockUntilReady(), b.blockUntilReady()]);
      return {
        run: async () => {
          const c = multiply(a.ref, b.ref);
          await c.blockUntilReady();
          c.dispose();
        },
        result: () => multiply(a.ref, b.ref).data(),
        dispose: () => [a, b].forEach((each) => each.dispose()),
      };
    },
  };
}
