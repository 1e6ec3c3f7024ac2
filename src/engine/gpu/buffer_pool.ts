import { OutOfMemoryError } from "../errors.ts";

/** Memory owned by a {@linkcode BufferPool}. */
export interface Pooled {
  /** Unique for the life of the process; never reused, so it can key caches. */
  readonly id: number;
  /** Bytes that its owner may use: mostly the size class of what was asked for; set by the pool. */
  bytes: number;
  /** Bytes that it has, at least as many. */
  readonly size: number;
  /** The pool it goes back to. */
  readonly pool: BufferPool;
  /** Serial number of the last submit that used it; set by the command stream. */
  lastUse: number;
}

/** A GPU buffer owned by a {@linkcode BufferPool}. */
export interface PooledBuffer extends Pooled {
  /** The buffer itself, `size` bytes long. */
  readonly buffer: GPUBuffer;
}

/** A texture owned by a {@linkcode BufferPool}: texel i, of four f32, is at column i % {@linkcode texelsInRow} of row i / texelsInRow. */
export interface PooledTexels extends Pooled {
  readonly texture: GPUTexture;
  readonly view: GPUTextureView;
}

/** Counters of a {@linkcode BufferPool}, in bytes unless said otherwise. */
export interface PoolStats {
  /** In use now, by the size classes of what was asked for. */
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
/** From this size on, a buffer also serves requests that are smaller by at most this factor. */
const shared = { from: 2 ** 16, factor: 1.5 } as const;
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
 * repeated starts from the same buffers each time and finds the same bind groups. Where a size class has none, a somewhat larger one
 * is lent; and a new one takes the place of one that is somewhat smaller. So steps of many lengths share the buffers of the longest.
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
  /** Sizes of all that is lent. */
  #lentBytes = 0;
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
    if (!isExact) this.#replaceSmaller(capacity);
    return this.#take(this.#idle, isExact ? capacity : this.#idleFor(capacity), capacity, (common) => ({
      ...common,
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
    return this.#take(this.#idleTexels, capacity, capacity, (common) => {
      const texture = this.#device.createTexture({
        size: [texelsInRow, capacity / rowBytes],
        format: texelFormat,
        usage: 0x08, // STORAGE_BINDING
      });
      return { ...common, texture, view: texture.createView() };
    });
  }

  #take<Kind extends Pooled>(
    idle: Map<number, Kind[]>,
    idleSize: number,
    bytes: number,
    create: (common: Pooled) => Kind,
  ): Kind {
    let memory = idle.get(idleSize)?.pop();
    if (memory === undefined) {
      this.trim(Math.max(0, this.maxHeldBytes - this.#lentBytes - bytes));
      memory = create({ id: nextId++, bytes, size: bytes, pool: this, lastUse: -1 });
      this.#created++;
    } else {
      this.#idleBytes -= memory.size;
    }
    memory.bytes = bytes;
    this.#lentBytes += memory.size;
    this.#liveBytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes);
    return memory;
  }

  /** The size of the idle buffer that a request of a size class gets: its own, or one that is a little larger. */
  #idleFor(capacity: number): number {
    const most = capacity < shared.from ? capacity : shared.factor * capacity;
    for (let size = capacity; size <= most; size = sizeClass(size + 1)) {
      if ((this.#idle.get(size)?.length ?? 0) > 0) return size;
    }
    return capacity;
  }

  /** Where a new buffer will be made, destroys the largest idle one that it can be lent instead of. */
  #replaceSmaller(capacity: number): void {
    if ((this.#idle.get(this.#idleFor(capacity))?.length ?? 0) > 0) return;
    let largest = 0;
    for (const [size, list] of this.#idle) {
      const isServed = size < capacity && size >= shared.from && size * shared.factor >= capacity;
      if (list.length > 0 && isServed && sizeClass(size) === size) largest = Math.max(largest, size);
    }
    if (largest === 0) return;
    this.#flush();
    this.#idle.get(largest)!.shift()!.buffer.destroy();
    this.#idleBytes -= largest;
  }

  /** Gives a buffer or texels back for reuse. */
  release(memory: PooledBuffer | PooledTexels): void {
    if ("texture" in memory) this.#putBack(this.#idleTexels, memory);
    else this.#putBack(this.#idle, memory);
  }

  #putBack<Kind extends Pooled>(idle: Map<number, Kind[]>, memory: Kind): void {
    const { size, bytes } = memory;
    let list = idle.get(size);
    if (list === undefined) idle.set(size, list = []);
    insertById(list, memory);
    this.#liveBytes -= bytes;
    this.#lentBytes -= size;
    this.#idleBytes += size;
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
