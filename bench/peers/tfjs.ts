import { settleDevice } from "../settle.ts";
import { packageVersion } from "./package_version.ts";
import { type Peer, storedShapes } from "./peer.ts";

interface TfTensor {
  data(): Promise<ArrayLike<number>>;
  dispose(): void;
}

interface WebGpuBackend {
  readonly device: GPUDevice;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

/** The little of TensorFlow.js that is used; the packages are installed for the benchmarks alone. */
interface TensorFlow {
  setBackend(name: "webgpu"): Promise<boolean>;
  backend(): WebGpuBackend;
  tensor(data: Float32Array, shape: readonly number[]): TfTensor;
  matMul(
    a: TfTensor,
    b: TfTensor,
    transposeA: boolean,
    transposeB: boolean,
  ): TfTensor;
}

/** TensorFlow.js with its WebGPU backend. */
export async function loadTfjs(): Promise<Peer> {
  const [core, backendPackage]: string[] = [
    "@tensorflow/tfjs-core",
    "@tensorflow/tfjs-backend-webgpu",
  ];
  const tf = await import(core!) as TensorFlow;
  await import(backendPackage!);
  if (!await tf.setBackend("webgpu")) {
    throw new Error("its WebGPU backend does not start");
  }
  const backend = tf.backend();
  return {
    name: "tfjs",
    version: packageVersion(backendPackage!),
    adapter: backend.device.adapterInfo.description,
    prepare: (product, operands) => {
      const { transposeA = false, transposeB = false } = product;
      const shapes = storedShapes(product);
      const a = tf.tensor(operands.a, shapes.a);
      const b = tf.tensor(operands.b, shapes.b);
      const multiply = () => tf.matMul(a, b, transposeA, transposeB);
      return {
        run: async () => {
          const c = multiply();
          backend.endComputePassEncoder();
          backend.submitQueue();
          await settleDevice(backend.device);
          c.dispose();
        },
        result: async () => {
          const c = multiply();
          const data = await c.data();
          c.dispose();
          return data;
        },
        dispose: () => [a, b].forEach((each) => each.dispose()),
      };
    },
  };
}
