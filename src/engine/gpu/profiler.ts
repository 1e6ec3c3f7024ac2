import type { Launch } from "./device.ts";
import type { Kernel } from "./kernel.ts";

/** The cost of the launches of one kernel with the same constants and the same {@linkcode Launch.detail}. */
export interface KernelProfile {
  readonly kernel: string;
  /** The constants that identify the variant, and the detail of the launches. */
  readonly variant: string;
  readonly calls: number;
  /** Time between the start and the end of the launches, on the GPU's clock. */
  readonly milliseconds: number;
  /** Floating-point operations; null where a launch did not declare any. */
  readonly flops: number | null;
  /** Bytes of all bound ranges, each counted once for each launch: what must be moved at least, not what is. */
  readonly bytes: number;
}

/** What {@linkcode Profiler.stop} returns. */
export interface Profile {
  /** The slowest first. */
  readonly kernels: readonly KernelProfile[];
  /** Sum of the kernels' milliseconds. */
  readonly milliseconds: number;
  readonly calls: number;
}

type Total = { -readonly [Key in keyof KernelProfile]: KernelProfile[Key] };

interface TimedLaunch {
  readonly total: Total;
  readonly flops: number | undefined;
  readonly bytes: number;
}

const timestampBytes = 8;

/**
 * Times every launch with a pair of timestamp queries around a pass of its own. Results keep their bits; launches lose the
 * little overlap that they have within one pass. Timestamps are read back asynchronously into one buffer for each submit,
 * which later submits reuse.
 *
 * Made by {@linkcode Gpu.profile}. Browsers may round timestamps to 100 µs.
 */
export class Profiler {
  readonly #device: GPUDevice;
  readonly #detach: () => void;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #idle: GPUBuffer[] = [];
  readonly #reads = new Set<Promise<void>>();
  readonly #totals = new Map<string, Total>();
  #launches: TimedLaunch[] = [];

  /**
   * Use {@linkcode Gpu.profile}.
   *
   * @param capacity the most launches of one submit.
   * @param detach submits what was recorded and takes the profiler off the device.
   */
  constructor(device: GPUDevice, capacity: number, detach: () => void) {
    this.#device = device;
    this.#detach = detach;
    this.#queries = device.createQuerySet({ type: "timestamp", count: 2 * capacity });
    this.#resolved = device.createBuffer({ size: 2 * capacity * timestampBytes, usage: 0x200 | 0x04 });
  }

  /** The timestamps of the next launch, which {@linkcode Profiler.note} then describes. */
  timestamps(): GPUComputePassTimestampWrites {
    const first = 2 * this.#launches.length;
    return { querySet: this.#queries, beginningOfPassWriteIndex: first, endOfPassWriteIndex: first + 1 };
  }

  /** Describes the launch since {@linkcode Profiler.timestamps}. */
  note(kernel: Kernel, { constants = {}, detail, flops, buffers }: Launch): void {
    const words = Object.entries(constants).flatMap(([name, value]) =>
      value === false ? [] : value === true ? [name] : [`${name}=${value}`]
    );
    if (detail !== undefined) words.unshift(detail);
    const variant = words.join(" ");
    const key = `${kernel.name}\n${variant}`;
    let total = this.#totals.get(key);
    if (total === undefined) {
      total = { kernel: kernel.name, variant, calls: 0, milliseconds: 0, flops: 0, bytes: 0 };
      this.#totals.set(key, total);
    }
    const ranges = new Map(
      buffers.map(({ buffer, offset, bytes }) => [`${buffer.id},${offset},${bytes}`, bytes]),
    );
    const bytes = [...ranges.values()].reduce((sum, each) => sum + each, 0);
    this.#launches.push({ total, flops, bytes });
  }

  /** Records the copy of a submit's timestamps to the host; returns a function to call after the submit. */
  resolve(encoder: GPUCommandEncoder): () => void {
    const launches = this.#launches;
    this.#launches = [];
    if (launches.length === 0) return () => {};
    const count = 2 * launches.length;
    const staging = this.#idle.pop() ??
      this.#device.createBuffer({ size: this.#resolved.size, usage: 0x01 | 0x08 });
    encoder.resolveQuerySet(this.#queries, 0, count, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, staging, 0, count * timestampBytes);
    return () => {
      const read = this.#read(staging, launches);
      this.#reads.add(read);
      // stop() waits for everything that is left in the set, and reports failures.
      read.then(() => this.#reads.delete(read), () => {});
    };
  }

  /**
   * Ends profiling, and waits for the last timestamps.
   *
   * @throws when timestamps can't be read, for example because the device was lost.
   */
  async stop(): Promise<Profile> {
    this.#detach();
    await Promise.all(this.#reads);
    for (const each of [this.#queries, this.#resolved, ...this.#idle]) each.destroy();
    const kernels = [...this.#totals.values()].sort((a, b) => b.milliseconds - a.milliseconds);
    return {
      kernels,
      milliseconds: kernels.reduce((sum, each) => sum + each.milliseconds, 0),
      calls: kernels.reduce((sum, each) => sum + each.calls, 0),
    };
  }

  async #read(staging: GPUBuffer, launches: readonly TimedLaunch[]): Promise<void> {
    await staging.mapAsync(1);
    const times = new BigUint64Array(staging.getMappedRange());
    launches.forEach(({ total, flops, bytes }, i) => {
      total.calls++;
      // A GPU's clock can run backwards when its frequency changes.
      total.milliseconds += Math.max(0, Number(times[2 * i + 1]! - times[2 * i]!) / 1e6);
      total.flops = total.flops === null || flops === undefined ? null : total.flops + flops;
      total.bytes += bytes;
    });
    staging.unmap();
    this.#idle.push(staging);
  }
}
