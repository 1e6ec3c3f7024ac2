import { type Gpu, matmul, tensor } from "../src/engine/mod.ts";
import type { Jax, JaxArray, PeerName, Tfjs } from "./peers/mod.ts";
import { settle } from "./settle.ts";

/** A batch of equal products op(A)·op(B): A is [batch, m, k] or [batch, k, m], B [batch, k, n] or [batch, n, k]. */
export interface Product {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  /** 1 by default; the inputs then have no batch axis. */
  readonly batch?: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/** The values of A and B as they are stored. */
export interface Operands {
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/** A product whose operands lie on the device. */
export interface PreparedProduct {
  /** Computes it once, waits until it is done, and gives the result's memory back. */
  run(): Promise<void>;
  /** Computes it once and reads it back. */
  result(): Promise<ArrayLike<number>>;
  dispose(): void;
}

/** Brings a product onto the device with one library. */
export type PrepareProduct = (
  product: Product,
  operands: Operands,
) => PreparedProduct | Promise<PreparedProduct>;

/** Every library that can multiply, by name, this project first. */
export function productPrograms(
  { gpu, jax, tfjs }: { gpu: Gpu; jax: Jax | undefined; tfjs: Tfjs | undefined },
): ReadonlyMap<"federa" | PeerName, PrepareProduct> {
  return new Map<"federa" | PeerName, PrepareProduct>([
    ["federa", prepareOwn(gpu)],
    ...(jax ? [["jax-js", prepareJax(jax)]] as const : []),
    ...(tfjs ? [["tfjs", prepareTfjs(tfjs)]] as const : []),
  ]);
}

function prepareOwn(gpu: Gpu): PrepareProduct {
  return (product, operands) => {
    const { transposeA = false, transposeB = false } = product;
    const shapes = storedShapes(product);
    const a = tensor(gpu, operands.a, { shape: shapes.a });
    const b = tensor(gpu, operands.b, { shape: shapes.b });
    return {
      run: async () => {
        using _product = matmul(a, b, { transposeA, transposeB });
        await settle(gpu);
      },
      result: async () => {
        using c = matmul(a, b, { transposeA, transposeB });
        return await c.floats();
      },
      dispose: () => [a, b].forEach((each) => each.dispose()),
    };
  };
}

function prepareJax(jax: Jax): PrepareProduct {
  const { numpy: np } = jax;
  return async (product, operands) => {
    const shapes = storedShapes(product);
    const swap = (x: JaxArray, flag = false) => flag ? np.swapaxes(x, -1, -2) : x;
    const multiply = jax.jit((a: JaxArray, b: JaxArray) =>
      np.matmul(swap(a, product.transposeA), swap(b, product.transposeB))
    );
    const a = np.array(operands.a, { shape: shapes.a });
    const b = np.array(operands.b, { shape: shapes.b });
    await jax.blockUntilReady([a, b]);
    return {
      run: async () => {
        const c = multiply(a.ref, b.ref);
        await c.blockUntilReady();
        c.dispose();
      },
      result: () => multiply(a.ref, b.ref).data(),
      dispose: () => [a, b].forEach((each) => each.dispose()),
    };
  };
}

function prepareTfjs({ tf, settle }: Tfjs): PrepareProduct {
  return (product, operands) => {
    const { transposeA = false, transposeB = false } = product;
    const shapes = storedShapes(product);
    const a = tf.tensor(operands.a, shapes.a);
    const b = tf.tensor(operands.b, shapes.b);
    const multiply = () => tf.matMul(a, b, transposeA, transposeB);
    return {
      run: async () => {
        const c = multiply();
        await settle();
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
  };
}

/** Shapes of A and B as they are stored, without a batch axis where there is one product only. */
function storedShapes(product: Product): { a: number[]; b: number[] } {
  const { m, k, n, batch = 1, transposeA = false, transposeB = false } = product;
  const leading = batch === 1 ? [] : [batch];
  return {
    a: [...leading, ...(transposeA ? [k, m] : [m, k])],
    b: [...leading, ...(transposeB ? [n, k] : [k, n])],
  };
}
