import { Worker } from "node:worker_threads";
import { DataLimitError } from "../errors.ts";

/**
 * Program of the thread: unpacks what it is sent, and says when it is done. Text, as a file of its own would have to be
 * found both among the sources and in a bundle.
 */
const PROGRAM = `
const { parentPort, workerData } = require("node:worker_threads");
import(workerData).then(({ decompressZstd }) => {
  parentPort.on("message", ({ input, output, state }) => {
    let outcome = 2;
    try {
      const unpacked = decompressZstd(input);
      if (unpacked.length === output.length) {
        output.set(unpacked);
        outcome = 1;
      }
    } catch {}
    Atomics.store(state, 0, outcome);
    Atomics.notify(state, 0);
  });
});`;

/** Milliseconds that a file's pages may take, and more for each byte that they unpack to. */
const TIME = 5000;
const TIME_PER_BYTE = 2000 / (1 << 20);

/**
 * Unpacks Zstandard data in a thread with a time limit: the decoder doesn't notice when it has read all of its input,
 * and few bytes can keep it busy for hours. The thread is started by the first page that needs it.
 */
export class ZstdThread {
  #worker: Worker | undefined;
  #time = TIME;

  /**
   * Unpacks a page; waits for it.
   *
   * @throws {Error} saying what is wrong with the page.
   * @throws {DataLimitError} if a file's pages have taken too long.
   */
  decompress(input: Uint8Array, length: number): Uint8Array {
    const sized = sizedZstd(input, length);
    const output = new Uint8Array(new SharedArrayBuffer(length));
    const state = new Int32Array(new SharedArrayBuffer(4));
    this.#worker ??= new Worker(PROGRAM, {
      eval: true,
      execArgv: [],
      workerData: import.meta.resolve("hyparquet-compressors"),
    });
    const start = performance.now();
    this.#time += TIME_PER_BYTE * length;
    this.#worker.postMessage({ input: sized, output, state });
    Atomics.wait(state, 0, 0, this.#time);
    this.#time -= performance.now() - start;
    if (state[0] === 1) return output.slice();
    if (state[0] === 2) throw new Error("a page of zstd can't be unpacked");
    throw new DataLimitError("unpacking pages of zstd takes too long");
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    await this.#worker?.terminate();
  }
}

/** Window that decoders must support, and the reference's goes up to. */
const MAX_WINDOW = 128 << 20;

/**
 * The one frame of a page of Zstandard data (RFC 8878), with the unpacked length in its header. The decoder stays
 * within the length of a frame that tells it, and is lost in one that doesn't, or in one more frame.
 */
function sizedZstd(input: Uint8Array, length: number): Uint8Array {
  const number = (offset: number, size: number): number => {
    if (offset + size > input.length) throw new Error("a page of zstd ends early");
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + input[offset + i]!;
    return value;
  };
  if (number(0, 4) !== 0xfd2fb528) throw new Error("a page of zstd has no frame where one must begin");
  const flags = number(4, 1);
  const single = (flags & 0x20) !== 0;
  const sizeBytes = flags >> 6 === 0 ? (single ? 1 : 0) : 1 << (flags >> 6);
  if (!single) {
    const window = number(5, 1);
    const base = 2 ** (10 + (window >> 3));
    if (base + base / 8 * (window & 7) > MAX_WINDOW) {
      throw new Error("a page of zstd needs too large a window");
    }
  }
  const sizeAt = (single ? 5 : 6) + [0, 1, 2, 4][flags & 3]!;
  const size = sizeBytes === 0 ? length : number(sizeAt, sizeBytes) + (sizeBytes === 2 ? 256 : 0);
  if (size !== length) throw new Error(`a page of zstd holds ${size} bytes, expected ${length}`);
  let next = sizeAt + sizeBytes;
  for (let last = false; !last;) {
    const head = number(next, 3);
    last = (head & 1) === 1;
    // A block of raw bytes, of one byte repeated, or compressed.
    next += 3 + ((head >> 1 & 3) === 1 ? 1 : head >> 3);
  }
  if (next + (flags & 4 ? 4 : 0) !== input.length) throw new Error("a page of zstd must be one whole frame");
  if (sizeBytes > 0) return input;
  const sized = new Uint8Array(input.length + 4);
  sized.set(input.subarray(0, sizeAt));
  sized[4] = flags | 0x80;
  new DataView(sized.buffer).setUint32(sizeAt, length, true);
  sized.set(input.subarray(sizeAt), sizeAt + 4);
  return sized;
}
