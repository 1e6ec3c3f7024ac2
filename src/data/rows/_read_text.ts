import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { CorruptFileError, DataLimitError } from "../errors.ts";

/** Longest line of text, in UTF-16 units. */
const MAX_LINE = 64 << 20;

/** What bounds a file. */
export interface TextLimits {
  /** Most bytes of a file. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The text of a UTF-8 file in pieces, without its byte order mark.
 *
 * @throws {CorruptFileError} if it isn't UTF-8.
 * @throws {DataLimitError} if it is too large.
 */
export async function* readText(path: string, { maxBytes, signal }: TextLimits): AsyncGenerator<string> {
  const { size } = await stat(path);
  checkSize(path, size, maxBytes);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let bytes = 0;
  const decode = (chunk?: Uint8Array): string => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined });
    } catch (cause) {
      throw new CorruptFileError(
        `Cannot read ${path}: it must be UTF-8 text, which it isn't near byte ${bytes}`,
        {
          cause,
        },
      );
    }
  };
  for await (const chunk of createReadStream(path, { signal }) as AsyncIterable<Uint8Array>) {
    yield decode(chunk);
    bytes += chunk.length;
    // What stat() says isn't true of a file that grows, nor of what isn't a plain file.
    checkSize(path, bytes, maxBytes);
  }
  yield decode();
}

/** The lines of a UTF-8 file, numbered from 1; only LF and CR LF end a line. */
export async function* readLines(
  path: string,
  limits: TextLimits,
): AsyncGenerator<{ readonly text: string; readonly line: number }> {
  let line = 1;
  let rest: string[] = [];
  let length = 0;
  for await (const piece of readText(path, limits)) {
    let start = 0;
    for (let end = piece.indexOf("\n"); end >= 0; end = piece.indexOf("\n", start)) {
      rest.push(piece.slice(start, end));
      yield { text: withoutReturn(rest.join("")), line: line++ };
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
  yield { text: withoutReturn(rest.join("")), line };
}

function withoutReturn(text: string): string {
  return text.endsWith("\r") ? text.slice(0, -1) : text;
}

/** Refuses a file that is too large to be read. */
export function checkSize(path: string, size: number, maxBytes: number): void {
  if (size > maxBytes) {
    throw new DataLimitError(`Cannot read ${path}: it may take ${maxBytes} bytes (maxBytes), got ${size}`);
  }
}
