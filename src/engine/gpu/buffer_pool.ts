import { OutOfMemoryError } from "../errors.ts";

/** A GPU buffer owned by a {@linkcode BufferPool}. */
export interface PooledBuffer {
  /** Unique for the life of the process; never reused, so it can key caches. */
  readonly id: number;
  /** The buffer itself; `bytes` long. */
  readonly buffer: GPUBuffer;
  /** Capacity in bytes: mostly the size class, not what was asked for. */
  readonly bytes: number;
  /** The pool it goes back to. */
  readonly pool: BufferPool;
  /** Serial number of the last submit that used it; set by the command stream. */
  lastUse: number;
}

/** Counters of a {@linkcode BufferPool}, in bytes unless said otherwise. */
export interface PoolStats {
  /** In use now. */
  readonly liveBytes: number;
  /** The most that was in use at any time. */
  readonly peakBytes: number;
  /** Held for reuse. */
  readonly idleBytes: number;
  /** Buffers created so far. */
  readonly created: number;
}

/** Options of {@linkcode BufferPool.acquire}. */
export interface AcquireOptions {
  /** Whether the buffer has the size that was asked for instead of a size class: for what is kept, not made anew each step. */
  readonly isExact?: boolean;
}

/** What a pool needs of a device. */
export type BufferSource = Pick<GPUDevice, "createBuffer" | "limits">;

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
function insertById(list: PooledBuffer[], buffer: PooledBuffer): void {
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
 * Storage buffers by size class. A released buffer can be reused at once: commands run in queue order, so those of the
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
  readonly #idle = new Map<number, PooledBuffer[]>();
  #liveBytes = 0;
  #peakBytes = 0;
  #idleBytes = 0;
  #created = 0;

  constructor(device: BufferSource, flush: () => void, maxIdleBytes: number) {
    this.#device = device;
    this.#flush = flush;
    this.#maxIdleBytes = maxIdleBytes;
    this.#limit = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
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
    const list = this.#idle.get(capacity);
    let buffer = list?.pop();
    if (buffer === undefined) {
      this.trim(Math.max(0, this.maxHeldBytes - this.#liveBytes - capacity));
      buffer = {
        id: nextId++,
        buffer: this.#device.createBuffer({ size: capacity, usage }),
        bytes: capacity,
        pool: this,
        lastUse: -1,
      };
      this.#created++;
    } else {
      this.#idleBytes -= capacity;
    }
    this.#liveBytes += capacity;
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes);
    return buffer;
  }

  /** Gives a buffer back for reuse. */
  release(buffer: PooledBuffer): void {
    let list = this.#idle.get(buffer.bytes);
    if (list === undefined) this.#idle.set(buffer.bytes, list = []);
    insertById(list, buffer);
    this.#liveBytes -= buffer.bytes;
    this.#idleBytes += buffer.bytes;
    if (this.#idleBytes > this.#maxIdleBytes) this.trim(this.#maxIdleBytes / 2);
  }

  /** Destroys idle buffers, the largest first, until at most `keepBytes` are held. */
  trim(keepBytes = 0): void {
    if (this.#idleBytes <= keepBytes) return;
    this.#flush();
    for (const capacity of [...this.#idle.keys()].sort((a, b) => b - a)) {
      const list = this.#idle.get(capacity)!;
      while (list.length > 0 && this.#idleBytes > keepBytes) {
        list.shift()!.buffer.destroy();
        this.#idleBytes -= capacity;
      }
      if (list.length === 0) this.#idle.delete(capacity);
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
