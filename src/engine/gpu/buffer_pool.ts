import { OutOfMemoryError } from "../errors.ts";

/** Memory owned by a {@linkcode BufferPool}. */
export interface Pooled {
  /** Unique for the life of the process; never reused, so it can key caches. */
  readonly id: number;
  /** Capacity in bytes: mostly the size class, not what was asked for. */
  readonly bytes: number;
  /** The pool it goes back to. */
  readonly pool: BufferPool;
  /** Serial number of the last submit that used it; set by the command stream. */
  lastUse: number;
}

/** A GPU buffer owned by a {@linkcode BufferPool}. */
export interface PooledBuffer extends Pooled {
  /** The buffer itself; `bytes` long. */
  readonly buffer: GPUBuffer;
}

/** A texture owned by a {@linkcode BufferPool}: texel i, of four f32, is at column i % {@linkcode texelsInRow} of row i / texelsInRow. */
export interface PooledTexels extends Pooled {
  readonly texture: GPUTexture;
  readonly view: GPUTextureView;
}

/** Counters of a {@linkcode BufferPool}, in bytes unless said otherwise. */
export interface PoolStats {
  /** In use now. */
  readonly liveBytes: number;
  /** The most that was in use at any time. */
  readonly peakBytes: number;
  /** Held for reuse. */
  readonly idleBytes: number;
  /** Buffers and textures created so far. */
  readonly created: number;
}

/** Options of {@linkcode BufferPool.acquire}. */
export interface AcquireOptions {
  /** Whether the buffer has the size that was asked for instead of a size class: for what is kept, not made anew each step. */
  readonly isExact?: boolean;
}

/** What a pool needs of a device. */
export type BufferSource = Pick<GPUDevice, "createBuffer" | "createTexture" | "limits">;

/** Texels in a row of a texture. */
export const texelsInRow = 1024;
/** Format of the texels: four f32. */
export const texelFormat = "rgba32float";
const rowBytes = 16 * texelsInRow;

const smallest = 256;
const usage = 0x80 | 0x04 | 0x08; // STORAGE | COPY_SRC | COPY_DST
let nextId = 1;

/**
 * The size class of a request: 256 bytes, then eight steps to each power of two (at most 12.5 % waste).
 */
export function sizeClass(bytes: number): number {
  if (bytes <= smallest) return smallest;
  const step = Math.max(smallest, 2 ** (Math.ceil(Math.log2(bytes)) - 4));
  return Math.ceil(bytes / step) * step;
}

/** Puts a buffer into a list that is sorted from the highest id to the lowest. */
function insertById<Kind extends Pooled>(list: Kind[], buffer: Kind): void {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]!.id > buffer.id) low = middle + 1;
    else high = middle;
  }
  list.splice(low, 0, buffer);
}

/**
 * Storage buffers and textures by size class. A released buffer can be reused at once: commands run in queue order, so those of the
 * next owner come after those of the last. The idle buffer with the lowest id is reused first, so a training step that is
 * repeated starts from the same buffers each time and finds the same bind groups.
 *
 * Idle buffers are bounded by `maxIdleBytes`; beyond it the largest are destroyed after `flush` has submitted
 * every command that names them.
 */
export class BufferPool {
  /** Limit on bytes in use and idle; idle buffers are destroyed to make room for a new one. */
  maxHeldBytes = Infinity;
  readonly #device: BufferSource;
  readonly #flush: () => void;
  readonly #maxIdleBytes: number;
  /** The most bytes that a kernel can bind; asking the device each time is slow. */
  readonly #limit: number;
  readonly #texelLimit: number;
  readonly #idle = new Map<number, PooledBuffer[]>();
  readonly #idleTexels = new Map<number, PooledTexels[]>();
  #liveBytes = 0;
  #peakBytes = 0;
  #idleBytes = 0;
  #created = 0;

  constructor(device: BufferSource, flush: () => void, maxIdleBytes: number) {
    this.#device = device;
    this.#flush = flush;
    this.#maxIdleBytes = maxIdleBytes;
    this.#limit = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
    this.#texelLimit = device.limits.maxTextureDimension2D * rowBytes;
  }

  /**
   * A buffer of at least `bytes` bytes; its contents are undefined.
   *
   * @throws {OutOfMemoryError} when `bytes` is over the adapter's limits.
   */
  acquire(bytes: number, describe: () => string, { isExact = false }: AcquireOptions = {}): PooledBuffer {
    const limit = this.#limit;
    if (bytes > limit) {
      throw new OutOfMemoryError(
        `Cannot allocate ${describe()}: it needs ${bytes} bytes and this adapter binds at most ${limit} ` +
          `(maxStorageBufferBindingSize); use a smaller batch or fewer members`,
      );
    }
    const rounded = isExact ? Math.max(smallest, Math.ceil(bytes / 16) * 16) : sizeClass(bytes);
    const capacity = Math.min(rounded, Math.floor(limit / 16) * 16);
    return this.#take(this.#idle, capacity, (shared) => ({
      ...shared,
      buffer: this.#device.createBuffer({ size: capacity, usage }),
    }));
  }

  /** Whether a texture can hold so many bytes. */
  holdsTexels(bytes: number): boolean {
    return bytes <= this.#texelLimit;
  }

  /** Texels of at least `bytes` bytes, which {@linkcode BufferPool.holdsTexels}; their contents are undefined. */
  acquireTexels(bytes: number): PooledTexels {
    const capacity = Math.min(Math.ceil(sizeClass(bytes) / rowBytes) * rowBytes, this.#texelLimit);
    return this.#take(this.#idleTexels, capacity, (shared) => {
      const texture = this.#device.createTexture({
        size: [texelsInRow, capacity / rowBytes],
        format: texelFormat,
        usage: 0x08, // STORAGE_BINDING
      });
      return { ...shared, texture, view: texture.createView() };
    });
  }

  #take<Kind extends Pooled>(
    idle: Map<number, Kind[]>,
    bytes: number,
    create: (shared: Pooled) => Kind,
  ): Kind {
    let memory = idle.get(bytes)?.pop();
    if (memory === undefined) {
      this.trim(Math.max(0, this.maxHeldBytes - this.#liveBytes - bytes));
      memory = create({ id: nextId++, bytes, pool: this, lastUse: -1 });
      this.#created++;
    } else {
      this.#idleBytes -= bytes;
    }
    this.#liveBytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes);
    return memory;
  }

  /** Gives a buffer or texels back for reuse. */
  release(memory: PooledBuffer | PooledTexels): void {
    if ("texture" in memory) this.#putBack(this.#idleTexels, memory);
    else this.#putBack(this.#idle, memory);
  }

  #putBack<Kind extends Pooled>(idle: Map<number, Kind[]>, memory: Kind): void {
    let list = idle.get(memory.bytes);
    if (list === undefined) idle.set(memory.bytes, list = []);
    insertById(list, memory);
    this.#liveBytes -= memory.bytes;
    this.#idleBytes += memory.bytes;
    if (this.#idleBytes > this.#maxIdleBytes) this.trim(this.#maxIdleBytes / 2);
  }

  /** Destroys idle buffers, the largest first, until at most `keepBytes` are held. */
  trim(keepBytes = 0): void {
    if (this.#idleBytes <= keepBytes) return;
    this.#flush();
    this.#trim(this.#idle, keepBytes, ({ buffer }) => buffer.destroy());
    this.#trim(this.#idleTexels, keepBytes, ({ texture }) => texture.destroy());
  }

  #trim<Kind extends Pooled>(
    idle: Map<number, Kind[]>,
    keepBytes: number,
    destroy: (memory: Kind) => void,
  ): void {
    for (const capacity of [...idle.keys()].sort((a, b) => b - a)) {
      const list = idle.get(capacity)!;
      while (list.length > 0 && this.#idleBytes > keepBytes) {
        destroy(list.shift()!);
        this.#idleBytes -= capacity;
      }
      if (list.length === 0) idle.delete(capacity);
    }
  }

  /** The counters now. */
  stats(): PoolStats {
    return {
      liveBytes: this.#liveBytes,
      peakBytes: this.#peakBytes,
      idleBytes: this.#idleBytes,
      created: this.#created,
    };
  }
}
