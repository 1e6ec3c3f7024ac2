import { MissingFeatureError } from "../errors.ts";
import { freeMemory } from "#webgpu-provider";
import { BindGroupCache, type BoundRange } from "./bind_group_cache.ts";
import {
  type AcquireOptions,
  BufferPool,
  type Pooled,
  type PooledBuffer,
  type PooledTexels,
  type PoolStats,
} from "./buffer_pool.ts";
import { CommandStream, maxDispatches, type Workgroups } from "./command_stream.ts";
import { DevicePoison } from "./device_poison.ts";
import type { Kernel, KernelConstant } from "./kernel.ts";
import { PipelineCache } from "./pipeline_cache.ts";
import { Profiler } from "./profiler.ts";
import { type PeakBytes, Rehearsal } from "./rehearsal.ts";

/** Whether kernels run on a CPU (Mesa's llvmpipe, SwiftShader) or on a graphics processor. */
export type AdapterClass = "cpu" | "gpu";

/** What is known of the adapter behind a {@linkcode Gpu}. */
export interface AdapterDescription {
  readonly vendor: string;
  readonly device: string;
  readonly description: string;
  readonly class: AdapterClass;
  /** Lanes of a subgroup, if the device supports subgroups and the adapter has only one size. */
  readonly subgroupSize?: number;
  /** Kernels can read textures of f32, and do so faster than buffers. */
  readonly readsTexels?: boolean;
}

/** One launch of a kernel. */
export interface Launch {
  /** The kernel's `const` header; each distinct set compiles a pipeline. */
  readonly constants?: Readonly<Record<string, KernelConstant>>;
  /** What is bound, in the order of the kernel's bindings. */
  readonly buffers: readonly BoundRange[];
  /** Words of the uniform struct: unsigned integers, with floats as {@linkcode f32Bits}. */
  readonly params: readonly number[];
  readonly workgroups: Workgroups;
  /** Floating-point operations, for a {@linkcode Profiler}; a fused multiply-add counts as two. */
  readonly flops?: number | undefined;
  /** Distinguishes launches with the same constants, for example by shape, for a {@linkcode Profiler}. */
  readonly detail?: string | undefined;
}

/** Counters of a {@linkcode Gpu} since it was opened, and its memory now. */
export interface GpuStats extends PoolStats {
  readonly dispatches: number;
  readonly submits: number;
  readonly pipelines: number;
  readonly bindGroups: number;
  /** Time for which {@linkcode Gpu.throttle} has held the host back. */
  readonly waitedMilliseconds: number;
}

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** The bits of a float as an unsigned integer, for {@linkcode Launch.params}. */
export function f32Bits(value: number): number {
  float[0] = value;
  return word[0]!;
}

/**
 * A WebGPU device with everything the engine keeps on it: the command stream, the buffer pool, and the caches of
 * pipelines and bind groups.
 */
export class Gpu {
  readonly device: GPUDevice;
  readonly adapter: AdapterDescription;
  /** Alignment of the offset of a binding, in bytes. */
  readonly bindingAlignment: number;
  /** The most bytes that a kernel can bind, and so a tensor can hold. */
  readonly maxBindingBytes: number;
  readonly #stream: CommandStream;
  readonly #pool: BufferPool;
  readonly #pipelines: PipelineCache;
  readonly #bindGroups: BindGroupCache;
  readonly #poison: DevicePoison;
  readonly #maxIdleBytes: number;
  #rehearsal: Rehearsal | null = null;

  /** Use {@linkcode openGpu}. */
  constructor(device: GPUDevice, adapter: AdapterDescription, maxIdleBytes: number) {
    this.device = device;
    this.adapter = adapter;
    // Asking the device for a limit takes a microsecond or more each time.
    const { minStorageBufferOffsetAlignment, maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    this.bindingAlignment = minStorageBufferOffsetAlignment;
    this.maxBindingBytes = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    this.#stream = new CommandStream(device);
    this.#maxIdleBytes = maxIdleBytes;
    this.#pool = new BufferPool(device, () => this.#stream.flush(), maxIdleBytes);
    this.#pipelines = new PipelineCache(device);
    this.#bindGroups = new BindGroupCache(device, this.#stream.params);
    this.#poison = new DevicePoison(device, (message) => this.#pipelines.placeOf(message));
  }

  /**
   * Bytes of free memory, for an adapter on the CPU, which shares it with everything else. Undefined for a graphics
   * processor, as WebGPU doesn't report its memory, and in browsers.
   */
  get freeBytes(): number | undefined {
    return this.adapter.class === "cpu" ? freeMemory() : undefined;
  }

  /** Memory and work counters. */
  stats(): GpuStats {
    return {
      ...this.#pool.stats(),
      dispatches: this.#stream.dispatches,
      submits: this.#stream.submits,
      pipelines: this.#pipelines.created,
      bindGroups: this.#bindGroups.created,
      waitedMilliseconds: this.#stream.waitedMilliseconds,
    };
  }

  /**
   * A buffer for `bytes` bytes, undefined contents.
   *
   * @throws {OutOfMemoryError} over the adapter's binding limit; the message names `describe()` and the limit.
   */
  acquire(bytes: number, describe: () => string, options?: AcquireOptions): PooledBuffer {
    const { pool } = this.#enter() ?? { pool: this.#pool };
    return pool.acquire(bytes, describe, options);
  }

  /** Texels for `bytes` bytes, undefined contents; undefined if no texture of this adapter holds so many. */
  acquireTexels(bytes: number): PooledTexels | undefined {
    const { pool } = this.#enter() ?? { pool: this.#pool };
    return pool.holdsTexels(bytes) ? pool.acquireTexels(bytes) : undefined;
  }

  /** Gives a buffer or texels back to the pool. */
  release(memory: PooledBuffer | PooledTexels): void {
    if (!this.#poison.isLost) memory.pool.release(memory);
  }

  /** Limit on bytes of buffers, in use and idle; idle ones are destroyed to make room for new ones. None by default. */
  get maxHeldBytes(): number {
    return this.#pool.maxHeldBytes;
  }

  /** Sets the limit for buffers that are created from now on. */
  set maxHeldBytes(bytes: number) {
    this.#pool.maxHeldBytes = bytes;
  }

  /** Destroys buffers that the pool holds for reuse. */
  trim(): void {
    this.#pool.trim();
  }

  /** Whether a {@linkcode Gpu.rehearse} is under way. */
  get isRehearsing(): boolean {
    return this.#rehearsal !== null;
  }

  /**
   * Runs `body` without the device and returns the memory that it would take: buffers are counted, not made, commands are
   * dropped, and readbacks give zeros at once. Recording the same commands afterwards takes the same memory. Tensors made
   * in `body` must not leave it.
   *
   * `body` may be asynchronous. Until it ends, anyone else who uses the device gets a `TypeError`: their commands would be
   * dropped too. A readback that was asked for before goes on. Browsers can't see who calls, so nothing else may
   * use the device there during an asynchronous rehearsal.
   *
   * @returns the most bytes in use at once, beside those in use before.
   * @throws {OutOfMemoryError} when a tensor is over the adapter's binding limit.
   * @throws {TypeError} when another rehearsal is under way.
   * @example
   * ```ts
   * const peakBytes = await gpu.rehearse(async () => {
   *   using x = tensor(gpu, new Float32Array(1024));
   *   await x.data(); // zeros
   * });
   * ```
   */
  rehearse<Result extends void | Promise<void>>(body: () => Result): PeakBytes<Result> {
    this.#poison.assertUsable();
    if (this.#rehearsal !== null) {
      throw new TypeError("Cannot rehearse during another rehearsal: await it first");
    }
    this.#rehearsal = new Rehearsal(this.device, this.#maxIdleBytes);
    return this.#rehearsal.run(body, () => this.#rehearsal = null);
  }

  /** Records one launch of `kernel`. */
  dispatch(kernel: Kernel, launch: Launch): void {
    if (this.#enter() !== null) return;
    for (const { buffer } of launch.buffers) this.#assertMade(buffer);
    const pipeline = this.#pipelines.get(kernel, launch.constants);
    this.#stream.dispatch(pipeline, this.#bindGroups.get(pipeline, launch.buffers), launch);
    this.#stream.profiler?.note(kernel, launch);
  }

  /**
   * Times every kernel from now on, until {@linkcode Profiler.stop}.
   *
   * @throws {MissingFeatureError} when the device has no timestamp queries.
   * @throws {TypeError} when a profiler runs already.
   */
  profile(): Profiler {
    this.flush();
    if (!this.device.features.has("timestamp-query")) {
      throw new MissingFeatureError(
        `Cannot profile kernels on ${this.adapter.description || this.adapter.device}: ` +
          `it lacks timestamp queries (timestamp-query)`,
      );
    }
    if (this.#stream.profiler !== null) throw new TypeError("Cannot profile twice at once: stop the first");
    return this.#stream.profiler = new Profiler(this.device, maxDispatches, () => {
      this.flush();
      this.#stream.profiler = null;
    });
  }

  /** Writes host data into a buffer, after every command recorded so far. */
  write(target: PooledBuffer, offset: number, data: Float32Array | Int32Array | Uint32Array): void {
    if (this.#enter() !== null) return;
    this.#assertMade(target);
    this.#stream.write(target, offset, data);
  }

  /** Submits what was recorded, without waiting. */
  flush(): void {
    this.#poison.assertUsable();
    this.#stream.flush();
  }

  /**
   * Submits, and waits while the work of more than `ahead` calls is unfinished.
   *
   * @returns the number of calls whose work is unfinished, not counting calls that had nothing to submit.
   */
  async throttle(ahead = 2): Promise<number> {
    if (this.#enter() !== null) return 0;
    const unfinished = await this.#stream.throttle(ahead);
    this.#poison.assertUsable();
    return unfinished;
  }

  /**
   * Reads `bytes` bytes back as they are now; the only wait in the engine. Start several readbacks before awaiting the
   * first, as with `Promise.all`: they share one submit.
   *
   * @throws {DeviceLostError} when the device is gone.
   * @throws {GpuValidationError} when a command since the last readback was rejected.
   */
  async read(source: PooledBuffer, offset: number, bytes: number): Promise<ArrayBuffer> {
    if (this.#enter() !== null) return new ArrayBuffer(bytes);
    this.#assertMade(source);
    const padded = Math.ceil(bytes / 4) * 4;
    const staging = this.device.createBuffer({ size: Math.max(4, padded), usage: 0x01 | 0x08 });
    try {
      if (padded > 0) this.#stream.copy({ buffer: source, offset, bytes: padded }, staging);
      // Readbacks that are started together share a submit.
      await Promise.resolve();
      this.#stream.flush();
      await staging.mapAsync(1).catch((error) => this.#poison.explain(error));
      this.#poison.assertUsable();
      return staging.getMappedRange().slice(0, bytes);
    } finally {
      staging.destroy();
    }
  }

  /** Releases the device; later calls throw {@linkcode DeviceLostError}. */
  close(): void {
    this.#poison.lose("it was closed");
    this.device.destroy();
  }

  /** As {@linkcode Gpu.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** The rehearsal that the caller belongs to; null if its commands go to the device. */
  #enter(): Rehearsal | null {
    this.#poison.assertUsable();
    if (this.#rehearsal === null || this.#rehearsal.includesCaller) return this.#rehearsal;
    throw new TypeError("Cannot use the GPU device while others rehearse on it: await their rehearsal first");
  }

  #assertMade({ pool }: Pooled): void {
    if (pool !== this.#pool) throw new TypeError("Cannot use a tensor made in a rehearsal: it has no memory");
  }
}
