import { open } from "node:fs/promises";
import { CorruptFileError } from "../../data/errors.ts";

/** A file that is open for reading in parts. */
export interface ModelFile {
  /** Where it is, for messages. */
  readonly path: string;
  /** Its length in bytes. */
  readonly size: number;
  /**
   * Reads the bytes from `begin` up to `end`, into memory of their own.
   *
   * @throws {CorruptFileError} naming the file, when it ends before that or has changed since it was opened.
   * @throws {RangeError} when there is no memory for them.
   */
  read(begin: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Closes the file; nothing can be read afterwards. */
  close(): Promise<void>;
}

/** Most bytes of one call to the file system, whose own limit is 2 GiB. */
const CHUNK = 64 << 20;

/**
 * Opens a file on disk (Node only).
 *
 * @throws the file system's error if it cannot be opened.
 */
export async function openLocalFile(path: string): Promise<ModelFile> {
  const file = await open(path, "r");
  const corrupt = (what: string) => new CorruptFileError(`Cannot read ${path}: ${what}`);
  // Identifies a version of the file's content.
  const state = async () => {
    const { size, mtimeNs } = await file.stat({ bigint: true });
    return `${size} ${mtimeNs}`;
  };
  try {
    const opened = await state();
    const { size } = await file.stat();
    return {
      path,
      size,
      async read(begin, end) {
        const bytes = allocate(path, end - begin);
        for (let done = 0; done < bytes.length;) {
          const length = Math.min(CHUNK, bytes.length - done);
          const { bytesRead } = await file.read(bytes, done, length, begin + done);
          if (bytesRead === 0) {
            throw corrupt(`the file ends at byte ${begin + done}, and should be longer`);
          }
          done += bytesRead;
        }
        if (await state() !== opened) throw corrupt("the file was written to while it was open");
        return bytes;
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Opens bytes in memory, or a file that the user gave to a web page, under a name for messages. */
export function openBlob(path: string, blob: Blob): ModelFile {
  return {
    path,
    size: blob.size,
    async read(begin, end) {
      const bytes = await blob.slice(begin, end).arrayBuffer().catch((cause) => {
        throw new CorruptFileError(`Cannot read ${path}: ${cause instanceof Error ? cause.message : cause}`, {
          cause,
        });
      });
      if (bytes.byteLength === end - begin) return new Uint8Array(bytes);
      throw new CorruptFileError(
        `Cannot read ${path}: the file ends at byte ${begin + bytes.byteLength}, and should be longer`,
      );
    },
    close: async () => {},
  };
}

function allocate(path: string, length: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new RangeError(`Cannot read ${path}: no memory for ${length} bytes`, { cause });
  }
}
