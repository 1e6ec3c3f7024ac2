import { type FileHandle, open } from "node:fs/promises";
import {
  corrupt,
  type Header,
  type HeaderEntry,
  parseHeader,
  parsePrefix,
  PREFIX_LENGTH,
} from "./_safetensors_header.ts";
import type { StoredTensor } from "./dtype.ts";
import { CorruptFileError } from "./errors.ts";
import type { WeightEntry, WeightSource } from "./weight_source.ts";

/** Most bytes of one call to the file system, whose own limit is 2 GiB. */
const CHUNK = 64 << 20;

/**
 * A safetensors file on disk, of which only the header is in memory (Node only): tensors are read one at a time, each
 * into memory of its own.
 *
 * @example
 * ```ts no-run
 * const file = await SafetensorsFile.open("model.safetensors");
 * for (const name of file.entries.keys()) console.log(name, (await file.read(name)).shape);
 * await file.close();
 * ```
 */
export class SafetensorsFile implements WeightSource {
  /** Where the file is. */
  readonly path: string;
  /** The file's free-form notes. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The tensors by name, in the order in which their data lie in the file. */
  readonly entries: ReadonlyMap<string, WeightEntry>;
  readonly #file: FileHandle;
  readonly #tensors: ReadonlyMap<string, HeaderEntry>;
  readonly #dataStart: number;
  readonly #state: string;

  private constructor(path: string, file: FileHandle, opened: Opened) {
    this.path = path;
    this.metadata = opened.header.metadata;
    this.#tensors = new Map(opened.header.entries.map((entry) => [entry.name, entry]));
    this.entries = this.#tensors;
    this.#file = file;
    this.#dataStart = opened.dataStart;
    this.#state = opened.state;
  }

  /**
   * Opens a file and checks its header; see {@linkcode readSafetensors} for what is checked.
   *
   * @throws {CorruptFileError} naming the file and what is wrong with it.
   * @throws the file system's error if it cannot be opened.
   */
  static async open(path: string): Promise<SafetensorsFile> {
    const file = await open(path, "r");
    try {
      return new SafetensorsFile(path, file, await readHeader(file));
    } catch (error) {
      await file.close();
      throw naming(path, error);
    }
  }

  /**
   * Reads one tensor.
   *
   * @throws {CorruptFileError} if the file has been written to since it was opened.
   * @throws {RangeError} if there is no tensor of that name, or no memory for it.
   */
  async read(name: string): Promise<StoredTensor> {
    const entry = this.#tensors.get(name);
    if (entry === undefined) {
      throw new RangeError(`Cannot read tensor ${JSON.stringify(name)}: ${this.path} has none of that name`);
    }
    const { dtype, shape, length, arrayClass, begin, end } = entry;
    try {
      const bytes = await readRange(this.#file, this.#dataStart + begin, allocate(name, end - begin));
      if (await stateOf(this.#file) !== this.#state) {
        throw corrupt("the file was written to while it was open");
      }
      return { dtype, shape, data: new arrayClass(bytes.buffer, 0, length) } as StoredTensor;
    } catch (error) {
      throw naming(this.path, error);
    }
  }

  /** Closes the file; nothing can be read then. */
  async close(): Promise<void> {
    await this.#file.close();
  }
}

interface Opened {
  readonly header: Header;
  readonly dataStart: number;
  readonly state: string;
}

async function readHeader(file: FileHandle): Promise<Opened> {
  const { size } = await file.stat();
  const state = await stateOf(file);
  const prefix = await readRange(file, 0, new Uint8Array(Math.min(PREFIX_LENGTH, size)));
  const dataStart = PREFIX_LENGTH + parsePrefix(prefix, size);
  const json = await readRange(file, PREFIX_LENGTH, new Uint8Array(dataStart - PREFIX_LENGTH));
  return { header: parseHeader(json, size - dataStart), dataStart, state };
}

/** Tells versions of a file's content apart. */
async function stateOf(file: FileHandle): Promise<string> {
  const { size, mtimeNs } = await file.stat({ bigint: true });
  return `${size} ${mtimeNs}`;
}

/** Fills an array with a file's bytes from a position on. */
async function readRange(
  file: FileHandle,
  position: number,
  target: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  for (let done = 0; done < target.length;) {
    const length = Math.min(CHUNK, target.length - done);
    const { bytesRead } = await file.read(target, done, length, position + done);
    if (bytesRead === 0) {
      throw corrupt(`the file ends at byte ${position + done}, inside of what it should hold`);
    }
    done += bytesRead;
  }
  return target;
}

function allocate(name: string, length: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new RangeError(`Cannot read tensor ${JSON.stringify(name)}: no memory for ${length} bytes`, {
      cause,
    });
  }
}

/** The error with the file's name in it. */
function naming(path: string, error: unknown): unknown {
  if (!(error instanceof CorruptFileError)) return error;
  const message = error.message.replace("Cannot read safetensors", () => `Cannot read ${path}`);
  return new CorruptFileError(message, { cause: error });
}
