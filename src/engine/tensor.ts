import type { GradientNode } from "./autograd.ts";
import type { BufferRange } from "./gpu/bind_group_cache.ts";
import type { PooledBuffer } from "./gpu/buffer_pool.ts";
import type { Gpu } from "./gpu/device.ts";
import { NonFiniteError } from "./errors.ts";
import { formatShape, type Shape, sizeOf } from "./shape.ts";
import { track, untrack } from "./tidy.ts";

/**
 * How the floats of a tensor are stored. All but `f32` are for frozen weights of linear layers and tables of embeddings alone,
 * and are made by `toPrecision`: `f16` is half precision, `int8` whole numbers from −127 to 127 with an f32 scale for each row
 * (last axis).
 */
export type Precision = "f32" | "f16" | "int8";

/** Element type of a tensor. */
export type DType = Precision | "i32" | "u32";

/** Host data of a tensor. */
export type TensorData = Float32Array | Int32Array | Uint32Array;

/** A pooled buffer shared by the tensors that view it; returned to the pool with the last of them. */
export class Storage {
  readonly buffer: PooledBuffer;
  readonly #gpu: Gpu;
  #references = 0;

  constructor(gpu: Gpu, buffer: PooledBuffer) {
    this.#gpu = gpu;
    this.buffer = buffer;
  }

  /** Whether more than one tensor views it. */
  get isShared(): boolean {
    return this.#references > 1;
  }

  /** Counts one more tensor. */
  retain(): void {
    this.#references++;
  }

  /** Counts one tensor fewer. */
  release(): void {
    if (--this.#references === 0) this.#gpu.release(this.buffer);
  }
}

const dataTypes = { f32: Float32Array, i32: Int32Array, u32: Uint32Array } as const;

/** Whether tensors of an element type are only read, as frozen weights; see {@linkcode Precision}. */
export function isStorageOnly(dtype: DType): dtype is "f16" | "int8" {
  return dtype === "f16" || dtype === "int8";
}

/** Bytes of a tensor, a multiple of 4. */
export function bytesOf(shape: Shape, dtype: DType): number {
  if (dtype === "f16") return 4 * Math.ceil(sizeOf(shape) / 2);
  if (dtype !== "int8") return 4 * sizeOf(shape);
  const { rows, words } = int8Layout(shape);
  return 4 * rows * (words + 1);
}

/**
 * Where the elements of an `int8` tensor are: each row (last axis) in `words` u32, four values in each, the first in the low
 * bits, and zeros at its end; after all rows, the f32 scales, one for each.
 */
export function int8Layout(shape: Shape): { readonly rows: number; readonly words: number } {
  return { rows: sizeOf(shape.slice(0, -1)), words: Math.ceil((shape.at(-1) ?? 1) / 4) };
}

/**
 * A contiguous row-major array on the GPU. Operations on tensors are recorded at once and run later, in order;
 * {@linkcode Tensor.data} is the only wait.
 *
 * A tensor belongs to the innermost {@linkcode tidy} around its creation; outside of any, its creator calls
 * {@linkcode Tensor.dispose} or declares it with `using`.
 */
export class Tensor {
  readonly gpu: Gpu;
  readonly shape: Shape;
  readonly dtype: DType;
  /** Elements from the start of the storage. */
  readonly offset: number;
  /** Number of elements. */
  readonly size: number;
  /** Whether {@linkcode backward} can compute the gradient of this leaf. */
  requiresGrad = false;
  /**
   * Reads the f32 values again that a frozen weight was rounded from, such as from the file that it came from; see `unrounded`.
   * Undefined where there are none, or none that can be read.
   */
  original: (() => Promise<Float32Array>) | undefined;
  /** The operation that made this tensor, if gradients were recorded. */
  node: GradientNode | null = null;
  /** Whether a gradient rule reads the elements. */
  isRead = false;
  #storage: Storage | null;

  /** Use {@linkcode tensor}, {@linkcode zeros} or an operation. */
  constructor(gpu: Gpu, storage: Storage, options: { shape: Shape; dtype: DType; offset?: number }) {
    this.gpu = gpu;
    this.shape = options.shape;
    this.dtype = options.dtype;
    this.offset = options.offset ?? 0;
    this.size = sizeOf(options.shape);
    this.#storage = storage;
    storage.retain();
    track(this);
  }

  /** Number of axes. */
  get ndim(): number {
    return this.shape.length;
  }

  /** Whether the tensor was disposed. */
  get disposed(): boolean {
    return this.#storage === null;
  }

  /** The storage that the tensor views. */
  get storage(): Storage {
    if (this.#storage === null) {
      throw new TypeError(
        `Cannot use a disposed tensor of shape ${
          formatShape(this.shape)
        }: keep it out of tidy() or dispose it later`,
      );
    }
    return this.#storage;
  }

  /** The bytes that a kernel binds. */
  get range(): BufferRange {
    const buffer = this.storage.buffer;
    // Parts of a tensor that is only stored are never viewed, so that its offset is 0.
    const offset = this.offset * 4;
    const bytes = Math.min(
      buffer.bytes - offset,
      Math.max(16, Math.ceil(bytesOf(this.shape, this.dtype) / 16) * 16),
    );
    return { buffer, offset, bytes };
  }

  /** Whether a gradient flows to or through this tensor. */
  get tracked(): boolean {
    return this.requiresGrad || this.node !== null;
  }

  /** Makes {@linkcode backward} able to compute the gradient of this leaf. */
  requireGrad(): this {
    if (this.dtype !== "f32") {
      throw new TypeError(`Cannot require a gradient of dtype ${this.dtype}: only f32 has one`);
    }
    this.requiresGrad = true;
    return this;
  }

  /** Another handle on the same elements, outside the gradient graph. */
  detach(): Tensor {
    return new Tensor(this.gpu, this.storage, this);
  }

  /** Copies the elements to the host. */
  async data(): Promise<TensorData> {
    const dataType = hostType(this.dtype);
    return new dataType(await this.gpu.read(this.storage.buffer, this.offset * 4, this.size * 4));
  }

  /** Same as {@linkcode Tensor.data}, for an f32 tensor. */
  async floats(): Promise<Float32Array> {
    if (this.dtype !== "f32") throw new TypeError(`Cannot read floats from a tensor of dtype ${this.dtype}`);
    return await this.data() as Float32Array;
  }

  /**
   * The only element.
   *
   * @throws {NonFiniteError} when it's NaN or infinite.
   */
  async item(): Promise<number> {
    if (this.size !== 1) {
      throw new TypeError(`Cannot take the item of shape ${formatShape(this.shape)}: expected one element`);
    }
    const value = (await this.data())[0]!;
    if (!Number.isFinite(value)) {
      throw new NonFiniteError(`Cannot take an item that is ${value}: expected a finite number`);
    }
    return value;
  }

  /** Overwrites the elements with host data of the same size. */
  write(data: TensorData): void {
    if (data.length !== this.size || !(data instanceof hostType(this.dtype))) {
      throw new TypeError(
        `Cannot write ${data.constructor.name} of ${data.length} into ${this.dtype} tensor of shape ${
          formatShape(this.shape)
        }`,
      );
    }
    if (data.length > 0) this.gpu.write(this.storage.buffer, this.offset * 4, data);
  }

  /** Releases this handle; the memory is reused once no other tensor views it. */
  dispose(): void {
    this.node = null;
    this.#release();
  }

  /**
   * Releases the elements of a result that no gradient rule reads, once every operation that takes it is recorded; gradients still
   * flow through it. If a rule reads them, nothing happens.
   */
  forget(): void {
    if (!this.isRead) this.#release();
  }

  #release(): void {
    if (this.#storage === null) return;
    untrack(this);
    this.#storage.release();
    this.#storage = null;
  }

  /** As {@linkcode Tensor.dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** A tensor with undefined contents, to be written by a kernel. */
export function empty(gpu: Gpu, shape: Shape, dtype: DType = "f32"): Tensor {
  for (const extent of shape) {
    if (!Number.isSafeInteger(extent) || extent < 0) {
      throw new RangeError(
        `Cannot make a tensor of shape ${formatShape(shape)}: extents must be non-negative integers`,
      );
    }
  }
  const describe = () => `tensor ${formatShape(shape)} of ${dtype}`;
  // What is only stored are weights, which stay.
  const buffer = gpu.acquire(bytesOf(shape, dtype), describe, { isExact: isStorageOnly(dtype) });
  return new Tensor(gpu, new Storage(gpu, buffer), { shape: [...shape], dtype });
}

/** Options of {@linkcode tensor}. */
export interface TensorOptions {
  /** Shape; a single axis over all the data by default. */
  readonly shape?: Shape;
  /** Element type; by default that of a typed array, `f32` for plain numbers. */
  readonly dtype?: DType;
}

/**
 * Creates a tensor from host data.
 *
 * @throws {TypeError} when the data doesn't fill the shape.
 */
export function tensor(gpu: Gpu, data: TensorData | readonly number[], options: TensorOptions = {}): Tensor {
  const dtype = options.dtype ?? dtypeOf(data);
  const shape = options.shape ?? [data.length];
  if (sizeOf(shape) !== data.length) {
    throw new TypeError(
      `Cannot make a tensor of shape ${formatShape(shape)} from ${data.length} values: expected ${
        sizeOf(shape)
      }`,
    );
  }
  const dataType = hostType(dtype);
  const result = empty(gpu, shape, dtype);
  result.write(data instanceof dataType ? data : dataType.from(data as readonly number[]));
  return result;
}

function dtypeOf(data: TensorData | readonly number[]): DType {
  if (data instanceof Int32Array) return "i32";
  return data instanceof Uint32Array ? "u32" : "f32";
}

function hostType(dtype: DType) {
  if (isStorageOnly(dtype)) {
    throw new TypeError(`Cannot read or write ${dtype} on the host: convert by toFloat or toPrecision`);
  }
  return dataTypes[dtype];
}
