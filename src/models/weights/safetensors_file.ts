import { type ModelFile, openLocalFile } from "../../hub/files/model_file.ts";
import {
  type Header,
  type HeaderEntry,
  parseHeader,
  parsePrefix,
  PREFIX_LENGTH,
} from "./_safetensors_header.ts";
import type { StoredTensor } from "./dtype.ts";
import { CorruptFileError } from "../errors.ts";
import type { WeightEntry, WeightSource } from "./weight_source.ts";

/**
 * A safetensors file that is open, of which only the header is in memory: tensors are read one at a time, each into memory
 * of its own.
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
  readonly #file: ModelFile;
  readonly #tensors: ReadonlyMap<string, HeaderEntry>;
  readonly #dataStart: number;

  private constructor(file: ModelFile, opened: Opened) {
    this.path = file.path;
    this.metadata = opened.header.metadata;
    this.#tensors = new Map(opened.header.entries.map((entry) => [entry.name, entry]));
    this.entries = this.#tensors;
    this.#file = file;
    this.#dataStart = opened.dataStart;
  }

  /**
   * Opens a file and checks its header; see {@linkcode readSafetensors} for what is checked.
   *
   * @param source a path (Node only), or an open file, which is closed with this one or when its header is refused.
   * @throws {CorruptFileError} naming the file and what is wrong with it.
   * @throws the file system's error if it cannot be opened.
   */
  static async open(source: string | ModelFile): Promise<SafetensorsFile> {
    const file = typeof source === "string" ? await openLocalFile(source) : source;
    try {
      return new SafetensorsFile(file, await readHeader(file));
    } catch (error) {
      await file.close();
      throw naming(file.path, error);
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
    const bytes = await this.#file.read(this.#dataStart + begin, this.#dataStart + end);
    return { dtype, shape, data: new arrayClass(bytes.buffer, 0, length) } as StoredTensor;
  }

  /** Closes the file; nothing can be read then. */
  async close(): Promise<void> {
    await this.#file.close();
  }
}

interface Opened {
  readonly header: Header;
  readonly dataStart: number;
}

async function readHeader(file: ModelFile): Promise<Opened> {
  const { size } = file;
  const prefix = await file.read(0, Math.min(PREFIX_LENGTH, size));
  const dataStart = PREFIX_LENGTH + parsePrefix(prefix, size);
  const json = await file.read(PREFIX_LENGTH, dataStart);
  return { header: parseHeader(json, size - dataStart), dataStart };
}

/** The error with the file's name in it. */
function naming(path: string, error: unknown): unknown {
  if (!(error instanceof CorruptFileError)) return error;
  const message = error.message.replace("Cannot read safetensors", () => `Cannot read ${path}`);
  return new CorruptFileError(message, { cause: error });
}
