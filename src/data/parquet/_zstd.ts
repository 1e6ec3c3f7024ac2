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

/** Milliseconds that a file's pages may take by default, and more for each byte that they unpack to. */
const TIME = 5000;
const TIME_PER_BYTE = 2000 / (1 << 20);

/**
 * Unpacks Zstandard data in a thread with a time limit: the decoder doesn't notice when it has read all of its input,
 * and few bytes can keep it busy for hours. The thread is started by the first page that needs it.
 */
export class ZstdThread {
  #worker: Worker | undefined;
  #time: number;

  /** @param time milliseconds that a file's pages may take, beside what their size allows. */
  constructor(time = TIME) {
    this.#time = time;
  }

  /**
   * Unpacks a page; waits for it.
   *
   * @throws {Error} saying what is wrong with the page.
   * @throws {DataLimitError} if a file's pages have taken too long.
   */
  decompress(input: Uint8Array, length: number): Uint8Array {
    checkFrame(input, length);
    const output = new Uint8Array(new SharedArrayBuffer(length));
    const state = new Int32Array(new SharedArrayBuffer(4));
    this.#worker ??= startThread();
    const start = performance.now();
    this.#time += TIME_PER_BYTE * length;
    this.#worker.postMessage({ input, output, state });
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

/** A thread that doesn't keep the process from ending. */
function startThread(): Worker {
  const workerData = import.meta.resolve("hyparquet-compressors");
  const worker = new Worker(PROGRAM, { eval: true, execArgv: [], workerData });
  worker.unref();
  return worker;
}

/** Window that decoders must support, and the reference's goes up to. */
const MAX_WINDOW = 128 << 20;
/** Most bytes of a block. Encoders part them into smaller ones, where that pays, but rarely below a sixteenth. */
const BLOCK = 128 << 10;
const PARTS = 16;

/**
 * Walks the one frame of a page of Zstandard data (RFC 8878) and refuses what the decoder would make far more bytes of
 * than there must be. It keeps to the length that a frame tells; in a frame that doesn't, blocks are counted.
 */
function checkFrame(input: Uint8Array, length: number): void {
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
  const size = sizeBytes === 0 ? undefined : number(sizeAt, sizeBytes) + (sizeBytes === 2 ? 256 : 0);
  let [next, most] = [sizeAt + sizeBytes, 0];
  for (let last = false; !last;) {
    const head = number(next, 3);
    last = (head & 1) === 1;
    // A block of raw bytes, of one byte repeated, or compressed.
    const [kind, bytes] = [head >> 1 & 3, head >> 3];
    most += kind === 2 ? BLOCK : bytes;
    next += 3 + (kind === 1 ? 1 : bytes);
  }
  if (next + (flags & 4 ? 4 : 0) !== input.length) throw new Error("a page of zstd must be one whole frame");
  if (most < length || (size === undefined ? most > PARTS * length + BLOCK : size !== length)) {
    throw new Error(`a page of zstd holds ${size ?? `up to ${most}`} bytes, expected ${length}`);
  }
}
