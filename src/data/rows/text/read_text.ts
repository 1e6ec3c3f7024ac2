import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { CorruptFileError, DataLimitError } from "../../errors.ts";
import { describeCause } from "../../files/describe_cause.ts";
import { FileDecoder } from "./_file_decoder.ts";

/** Longest line of text, in UTF-16 units. */
const MAX_LINE = 64 << 20;
/** Longest string of V8 on 64-bit machines; other engines allow more. */
const MAX_STRING = 2 ** 29 - 24;

/** Limits of a file, and how its bytes are read. */
export interface ReadTextOptions {
  /** Most bytes of a file. */
  readonly maxBytes: number;
  /** By default as a byte order mark says, or else UTF-8. */
  readonly encoding?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The bytes, where the path is only a name for them. */
  readonly content?: Blob | undefined;
}

/**
 * The text of a file in pieces, without its byte order mark.
 *
 * @throws {CorruptFileError} naming line and byte, if it isn't in the encoding.
 * @throws {DataLimitError} if it is too large.
 * @throws {RangeError} if there is no such encoding.
 */
export async function* readText(path: string, options: ReadTextOptions): AsyncGenerator<string> {
  const { maxBytes, encoding, signal, content } = options;
  const { size } = content ?? await stat(path);
  checkSize(path, size, maxBytes);
  const decoder = new FileDecoder(path, encoding);
  let bytes = 0;
  const chunks = content === undefined
    ? createReadStream(path, { signal }) as AsyncIterable<Uint8Array>
    : readBlob(path, content, signal);
  for await (const chunk of chunks) {
    yield decoder.decode(chunk);
    bytes += chunk.length;
    // stat() is wrong for a file that grows, and for anything but a plain file.
    checkSize(path, bytes, maxBytes);
  }
  yield decoder.decode();
}

/** The bytes of a file that a page was given. Not every browser can iterate over its stream. */
async function* readBlob(path: string, blob: Blob, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = blob.stream().getReader();
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { done, value } = await reader.read().catch((cause) => {
        throw new CorruptFileError(
          `Cannot read ${path}: ${
            describeCause(cause)
          }; if it has been changed since it was chosen, choose it again`,
          { cause },
        );
      });
      if (done) return;
      yield value;
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}

/**
 * The text of a file in one piece.
 *
 * @throws as {@linkcode readText}.
 * @throws {DataLimitError} if it is longer than a string may be.
 */
export async function readWholeText(
  path: string,
  { maxLength = MAX_STRING, ...options }: ReadTextOptions & { readonly maxLength?: number },
): Promise<string> {
  const pieces: string[] = [];
  let length = 0;
  for await (const piece of readText(path, options)) {
    pieces.push(piece);
    length += piece.length;
    if (length > maxLength) {
      throw new DataLimitError(
        `Cannot read ${path}: a JSON document may have at most ${maxLength} characters; write it as JSONL, an object a line, in ` +
          `several files if need be`,
      );
    }
  }
  return pieces.join("");
}

/**
 * The lines of a file, numbered from 1; only LF and CR LF end a line. Byte order marks at the beginning of a line, which are left
 * where files were joined, are skipped.
 */
export async function* readLines(
  path: string,
  options: ReadTextOptions,
): AsyncGenerator<{ readonly text: string; readonly line: number }> {
  let line = 1;
  let rest: string[] = [];
  let length = 0;
  for await (const piece of readText(path, options)) {
    let start = 0;
    for (let end = piece.indexOf("\n"); end >= 0; end = piece.indexOf("\n", start)) {
      rest.push(piece.slice(start, end));
      yield { text: plain(rest.join("")), line: line++ };
      rest = [];
      length = 0;
      start = end + 1;
    }
    rest.push(piece.slice(start));
    length += piece.length - start;
    if (length > MAX_LINE) {
      throw new DataLimitError(`Cannot read line ${line} of ${path}: a line may have ${MAX_LINE} characters`);
    }
  }
  yield { text: plain(rest.join("")), line };
}

function plain(text: string): string {
  return text.slice(text.startsWith("\ufeff") ? 1 : 0, text.endsWith("\r") ? -1 : undefined);
}

/** Refuses a file that is too large to be read. */
export function checkSize(path: string, size: number, maxBytes: number): void {
  if (size > maxBytes) {
    throw new DataLimitError(
      `Cannot read ${path}: it may take ${maxBytes} bytes (maxBytes), got ${size}; split it into several files, which ` +
        `are read together`,
    );
  }
}
