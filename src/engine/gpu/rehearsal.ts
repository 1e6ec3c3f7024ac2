import { belongsTo, runAs } from "#webgpu-provider";
import { BufferPool, type BufferSource } from "./buffer_pool.ts";

/** What a rehearsal returns: at once for a synchronous body, else a promise. */
export type PeakBytes<Result> = Result extends Promise<void> ? Promise<number> : number;

/** A run of commands whose buffers are counted and not made; see {@linkcode Gpu.rehearse}. */
export class Rehearsal {
  /** Stands in for the pool of the device. */
  readonly pool: BufferPool;

  constructor({ limits }: Pick<BufferSource, "limits">, maxIdleBytes: number) {
    this.pool = new BufferPool(
      { limits, createBuffer: countedBuffer, createTexture: countedTexture },
      () => {},
      maxIdleBytes,
    );
  }

  /** Whether the caller belongs to the body of this rehearsal; always true in browsers, which have no way to know. */
  get includesCaller(): boolean {
    return belongsTo(this);
  }

  /** Runs the body, then calls `end`, and returns the most bytes in use at once. */
  run<Result extends void | Promise<void>>(body: () => Result, end: () => void): PeakBytes<Result> {
    return this.#run(body, end) as PeakBytes<Result>;
  }

  #run(body: () => void | Promise<void>, end: () => void): number | Promise<number> {
    let running: void | Promise<void>;
    try {
      running = runAs(this, body);
    } catch (error) {
      end();
      throw error;
    }
    if (running instanceof Promise) return running.finally(end).then(() => this.pool.stats().peakBytes);
    end();
    return this.pool.stats().peakBytes;
  }
}

function countedBuffer({ size }: GPUBufferDescriptor): GPUBuffer {
  return { size, destroy() {} } as unknown as GPUBuffer;
}

function countedTexture(): GPUTexture {
  return { createView: () => ({}), destroy() {} } as unknown as GPUTexture;
}
