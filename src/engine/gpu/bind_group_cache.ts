import { collectGarbage } from "#webgpu-provider";
import type { PooledBuffer, PooledTexels } from "./buffer_pool.ts";
import { paramsWindowBytes, type Pipeline } from "./pipeline_cache.ts";

/** A range of a pooled buffer, in bytes, as a kernel binds it. */
export interface BufferRange {
  readonly buffer: PooledBuffer;
  readonly offset: number;
  readonly bytes: number;
}

/** Pooled texels, as a kernel binds them: all, whatever the range that is counted. */
export interface TexelRange {
  readonly buffer: PooledTexels;
  readonly offset: 0;
  readonly bytes: number;
}

/** What a binding of a kernel can be. */
export type BoundRange = BufferRange | TexelRange;

/** A bind group and what it binds. Entries with the same hash form a list. */
interface Entry {
  readonly layout: GPUBindGroupLayout;
  readonly ranges: readonly BoundRange[];
  readonly group: GPUBindGroup;
  readonly next: Entry | undefined;
}

/**
 * Mesa's software driver maps memory some three times for each bind group, of which Linux allows a process 65,530; past that it dies without a
 * word. So few are kept, and those that were dropped are collected at once.
 */
const maxRecent = 2048;

/**
 * Bind groups by layout, buffers and ranges. Keeps at least the 2,048 that were used last and at most twice as many: when
 * a generation is full, the one before it is dropped with everything that was not used since.
 */
export class BindGroupCache {
  readonly #device: GPUDevice;
  readonly #params: GPUBuffer;
  #recent = new Map<number, Entry>();
  #older = new Map<number, Entry>();
  #recentCount = 0;
  #created = 0;

  /** @param params the ring buffer that binding 0 of every kernel reads. */
  constructor(device: GPUDevice, params: GPUBuffer) {
    this.#device = device;
    this.#params = params;
  }

  /** Bind groups created so far. */
  get created(): number {
    return this.#created;
  }

  /** The bind group of `pipeline` over `ranges`. */
  get({ layout }: Pipeline, ranges: readonly BoundRange[]): GPUBindGroup {
    const hash = hashOf(ranges);
    const next = this.#recent.get(hash);
    const recent = find(next, layout, ranges);
    if (recent !== undefined) return recent.group;
    const group = find(this.#older.get(hash), layout, ranges)?.group ?? this.#create(layout, ranges);
    if (this.#recentCount++ < maxRecent) {
      this.#recent.set(hash, { layout, ranges, group, next });
    } else {
      this.#older = this.#recent;
      this.#recent = new Map([[hash, { layout, ranges, group, next: undefined }]]);
      this.#recentCount = 1;
      collectGarbage();
    }
    return group;
  }

  #create(layout: GPUBindGroupLayout, ranges: readonly BoundRange[]): GPUBindGroup {
    this.#created++;
    return this.#device.createBindGroup({
      layout,
      entries: [
        { binding: 0, resource: { buffer: this.#params, offset: 0, size: paramsWindowBytes } },
        ...ranges.map(({ buffer, offset, bytes }, i) => ({
          binding: i + 1,
          resource: "view" in buffer ? buffer.view : { buffer: buffer.buffer, offset, size: bytes },
        })),
      ],
    });
  }
}

function find(
  entry: Entry | undefined,
  layout: GPUBindGroupLayout,
  ranges: readonly BoundRange[],
): Entry | undefined {
  for (; entry !== undefined; entry = entry.next) {
    if (entry.layout === layout && sameRanges(entry.ranges, ranges)) return entry;
  }
  return undefined;
}

function sameRanges(a: readonly BoundRange[], b: readonly BoundRange[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    if (x.buffer !== y.buffer || x.offset !== y.offset || x.bytes !== y.bytes) return false;
  }
  return true;
}

function hashOf(ranges: readonly BoundRange[]): number {
  let hash = ranges.length;
  for (let i = 0; i < ranges.length; i++) {
    const { buffer, offset, bytes } = ranges[i]!;
    hash = Math.imul(hash ^ buffer.id, 0x9e3779b1);
    hash = Math.imul(hash ^ (hash >>> 15) ^ offset, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13) ^ bytes, 0xc2b2ae35);
  }
  return hash ^ (hash >>> 16);
}
