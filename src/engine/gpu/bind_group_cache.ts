import { LruMap } from "./_lru.ts";
import type { PooledBuffer } from "./buffer_pool.ts";
import { paramsWindowBytes, type Pipeline } from "./pipeline_cache.ts";

/** A range of a pooled buffer, in bytes, as a kernel binds it. */
export interface BufferRange {
  readonly buffer: PooledBuffer;
  readonly offset: number;
  readonly bytes: number;
}

const maxBindGroups = 8192;

/** Bind groups keyed by pipeline, buffers and ranges; at most 8,192 are kept. */
export class BindGroupCache {
  readonly #device: GPUDevice;
  readonly #params: GPUBuffer;
  readonly #groups = new LruMap<string, GPUBindGroup>(maxBindGroups);
  #created = 0;

  /** @param params the ring that binding 0 of every kernel looks into. */
  constructor(device: GPUDevice, params: GPUBuffer) {
    this.#device = device;
    this.#params = params;
  }

  /** Bind groups created so far. */
  get created(): number {
    return this.#created;
  }

  /** The bind group of `pipeline` over `ranges`. */
  get(pipeline: Pipeline, ranges: readonly BufferRange[]): GPUBindGroup {
    let key = `${pipeline.id}`;
    for (const { buffer, offset, bytes } of ranges) key += `|${buffer.id},${offset},${bytes}`;
    return this.#groups.getOrCreate(key, () => this.#create(pipeline, ranges));
  }

  #create(pipeline: Pipeline, ranges: readonly BufferRange[]): GPUBindGroup {
    this.#created++;
    return this.#device.createBindGroup({
      layout: pipeline.layout,
      entries: [
        { binding: 0, resource: { buffer: this.#params, offset: 0, size: paramsWindowBytes } },
        ...ranges.map(({ buffer, offset, bytes }, i) => ({
          binding: i + 1,
          resource: { buffer: buffer.buffer, offset, size: bytes },
        })),
      ],
    });
  }
}
