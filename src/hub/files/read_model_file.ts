import { CorruptFileError } from "../../data/errors.ts";
import type { ModelFiles } from "./model_files.ts";

/** Options of {@linkcode readModelFile}. */
export interface ReadModelFileOptions {
  /** The longest file that is read; 64 MiB by default. */
  readonly maxBytes?: number | undefined;
}

/** A file that was read whole. */
export interface ReadModelFile {
  /** Where it is, for messages. */
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Reads a file of a model whole; undefined if the model has none of that name.
 *
 * @throws {CorruptFileError} naming the file, when it is too long.
 * @throws what opening and reading it throws.
 */
export async function readModelFile(
  files: ModelFiles,
  name: string,
  options: ReadModelFileOptions = {},
): Promise<ReadModelFile | undefined> {
  const { maxBytes = 64 << 20 } = options;
  const file = await files.open(name);
  if (file === undefined) return undefined;
  const { path, size } = file;
  try {
    if (size <= maxBytes) return { path, bytes: await file.read(0, size) };
    throw new CorruptFileError(`Cannot read ${path}: it may take ${maxBytes} bytes, got ${size}`);
  } finally {
    await file.close();
  }
}
