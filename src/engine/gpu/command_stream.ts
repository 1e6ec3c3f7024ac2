import type { BufferRange } from "./bind_group_cache.ts";
import type { PooledBuffer } from "./buffer_pool.ts";
import type { Launch } from "./device.ts";
import { paramsWindowBytes, type Pipeline } from "./pipeline_cache.ts";
import type { Profiler } from "./profiler.ts";

/** Workgroups of a dispatch along x, y and z. */
export type Workgroups = readonly [number, number, number];

const ringBytes = 1 << 18;

/** The most dispatches of one submit. */
export const maxDispatches = 512;

/**
 * The only path of commands to the GPU: a single encoder with a single open compute pass. Nothing is submitted until
 * {@linkcode flush}, which is called by a readback, a full ring, 512 dispatches or a write that would overtake commands.
 *
 * Kernel parameters are gathered on the host and written to a ring with one `writeBuffer` per submit, ahead of the
 * commands that read them; a kernel reads its own slot at a dynamic offset.
 */
export class CommandStream {
  /** The ring that holds the parameters of every dispatch in flight. */
  readonly params: GPUBuffer;
  /** Times each dispatch, in a pass of its own; to be changed only after a {@linkcode flush}. */
  profiler: Profiler | null = null;
  readonly #queue: GPUQueue;
  readonly #device: GPUDevice;
  readonly #staging = new Uint32Array(ringBytes / 4);
  readonly #alignWords: number;
  readonly #offset = [0];
  #usedWords = 0;
  #encoder: GPUCommandEncoder | null = null;
  #pass: GPUComputePassEncoder | null = null;
  #pipeline: GPUComputePipeline | null = null;
  #dispatches = 0;
  #serial = 0;
  #totalDispatches = 0;
  #inFlight: Promise<undefined>[] = [];
  #throttledSerial = 0;
  #waitedMilliseconds = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#queue = device.queue;
    this.#alignWords = Math.max(4, device.limits.minUniformBufferOffsetAlignment / 4);
    this.params = device.createBuffer({
      label: "params",
      size: ringBytes + paramsWindowBytes,
      usage: 0x40 | 0x08,
    });
  }

  /** Dispatches recorded so far. */
  get dispatches(): number {
    return this.#totalDispatches;
  }

  /** Submits so far. */
  get submits(): number {
    return this.#serial;
  }

  /** Total time that {@linkcode throttle} has waited. */
  get waitedMilliseconds(): number {
    return this.#waitedMilliseconds;
  }

  /** Records one dispatch. */
  dispatch(pipeline: Pipeline, bindGroup: GPUBindGroup, { buffers, params, workgroups }: Launch): void {
    if (this.#usedWords + params.length > this.#staging.length || this.#dispatches >= maxDispatches) {
      this.flush();
    }
    const slot = this.#usedWords;
    this.#staging.set(params, slot);
    this.#usedWords = Math.ceil((slot + params.length) / this.#alignWords) * this.#alignWords;
    if (this.profiler !== null) this.#closePass();
    const pass = this.#openPass();
    if (this.#pipeline !== pipeline.pipeline) {
      pass.setPipeline(pipeline.pipeline);
      this.#pipeline = pipeline.pipeline;
    }
    this.#offset[0] = slot * 4;
    pass.setBindGroup(0, bindGroup, this.#offset);
    pass.dispatchWorkgroups(workgroups[0], workgroups[1], workgroups[2]);
    for (const { buffer } of buffers) buffer.lastUse = this.#serial;
    this.#dispatches++;
    this.#totalDispatches++;
  }

  /** Records a copy to the start of another buffer; offset and size in bytes, multiples of 4. */
  copy({ buffer, offset, bytes }: BufferRange, target: GPUBuffer): void {
    this.#closePass();
    this.#openEncoder().copyBufferToBuffer(buffer.buffer, offset, target, 0, bytes);
    buffer.lastUse = this.#serial;
    this.#dispatches++;
  }

  /** Writes host data; earlier commands that name `target` are submitted first, as the write would overtake them. */
  write(target: PooledBuffer, offset: number, data: Float32Array | Int32Array | Uint32Array): void {
    if (target.lastUse === this.#serial) this.flush();
    this.#queue.writeBuffer(
      target.buffer,
      offset,
      data.buffer as ArrayBuffer,
      data.byteOffset,
      data.byteLength,
    );
  }

  /** Submits what was recorded. */
  flush(): void {
    if (this.#encoder === null) return;
    this.#closePass();
    if (this.#usedWords > 0) {
      this.#queue.writeBuffer(this.params, 0, this.#staging.buffer, 0, this.#usedWords * 4);
    }
    const submitted = this.profiler?.resolve(this.#encoder);
    this.#queue.submit([this.#encoder.finish()]);
    submitted?.();
    this.#encoder = null;
    this.#usedWords = 0;
    this.#dispatches = 0;
    this.#serial++;
  }

  /**
   * Submits, then waits until the work of at most `ahead` calls is unfinished. A loop that never reads back calls
   * this once a step, so that the host stays a bounded distance ahead of the device.
   *
   * @returns the number of calls whose work is unfinished, not counting calls that had nothing to submit.
   */
  async throttle(ahead: number): Promise<number> {
    this.flush();
    if (this.#serial !== this.#throttledSerial) {
      this.#throttledSerial = this.#serial;
      this.#inFlight.push(this.#queue.onSubmittedWorkDone());
    }
    const start = performance.now();
    while (this.#inFlight.length > ahead) await this.#inFlight.shift();
    this.#waitedMilliseconds += performance.now() - start;
    return this.#inFlight.length;
  }

  #openEncoder(): GPUCommandEncoder {
    return this.#encoder ??= this.#device.createCommandEncoder();
  }

  #openPass(): GPUComputePassEncoder {
    return this.#pass ??= this.#openEncoder().beginComputePass(
      this.profiler === null ? {} : { timestampWrites: this.profiler.timestamps() },
    );
  }

  #closePass(): void {
    this.#pass?.end();
    this.#pass = null;
    this.#pipeline = null;
  }
}
