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

/** A product whose operands lie on the device. */
export interface PreparedProduct {
  /** Computes it once, waits until it is done, and gives the result's memory back. */
  run(): Promise<void>;
  /** Computes it once and reads it back. */
  result(): Promise<ArrayLike<number>>;
  dispose(): void;
}

/** A library that can multiply matrices on WebGPU. */
export interface Peer {
  readonly name: string;
  readonly version: string;
  /** Its adapter, to be sure that all have the same. */
  readonly adapter: string;
  prepare(
    product: Product,
    operands: { a: Float32Array; b: Float32Array },
  ): PreparedProduct | Promise<PreparedProduct>;
}

/** Shapes of A and B as they are stored, without a batch axis where there is one product only. */
export function storedShapes(product: Product): { a: number[]; b: number[] } {
  const { m, k, n, batch = 1, transposeA = false, transposeB = false } = product;
  const leading = batch === 1 ? [] : [batch];
  return {
    a: [...leading, ...(transposeA ? [k, m] : [m, k])],
    b: [...leading, ...(transposeB ? [n, k] : [k, n])],
  };
}
