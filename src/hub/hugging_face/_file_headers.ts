import { HubError } from "../errors.ts";

/** A file's hash and size, which the hub states before it sends the file. */
export interface FileInfo {
  /** SHA-256 of the content (64 hex digits) for a large file, SHA-1 of its git blob (40) for another. */
  readonly etag: string;
  /** Bytes, where the hub says it. */
  readonly size: number | undefined;
}

/**
 * Collects a file's hash, size and commit from the answers on the way to it: the hub gives them with its redirect to a
 * file store, a mirror's own redirect lacks them, and a small file has them beside its bytes.
 */
export class FileHeaders {
  #commit: string | undefined;
  #etag: string | undefined;
  #linkedEtag: string | undefined;
  #linkedSize: number | undefined;
  #length: number | undefined;

  /** Adds the headers of one answer; `isFile` where the answer is the file itself and no redirect to it. */
  add(headers: Headers, isFile: boolean): void {
    this.#commit ??= headers.get("x-repo-commit") ?? undefined;
    this.#linkedEtag ??= hashOf(headers.get("x-linked-etag"));
    this.#linkedSize ??= countOf(headers.get("x-linked-size"));
    // A redirect's own tag, where it has one, gives way to the file's.
    this.#etag = hashOf(headers.get("etag")) ?? this.#etag;
    if (isFile) this.#length ??= contentLength(headers);
  }

  /** Whether the rest of the way has nothing to add. */
  get isComplete(): boolean {
    return this.#commit !== undefined && this.#linkedEtag !== undefined;
  }

  /**
   * The hash, size and commit that were found.
   *
   * @throws {HubError} `server` if a hub would not answer so for a file at this commit.
   */
  read(purpose: string, commit: string): FileInfo {
    const etag = this.#linkedEtag ?? this.#etag;
    if (this.#commit === commit && etag !== undefined) {
      return { etag, size: this.#linkedSize ?? this.#length };
    }
    throw new HubError(
      `${purpose}: the answer isn't from a hub: expected X-Repo-Commit ${commit} and a hash as ETag, got ${
        this.#commit ?? "none"
      } and ${etag ?? "none"}; check HF_ENDPOINT and any proxy in between`,
      "server",
    );
  }
}

/** Bytes that a body announces; undefined if it doesn't, or counts them compressed. */
export function contentLength(headers: Headers): number | undefined {
  const encoding = headers.get("content-encoding") ?? "identity";
  return encoding === "identity" ? countOf(headers.get("content-length")) : undefined;
}

/** The hash in an entity tag, which names a file in the cache and so may be nothing but a hash. */
function hashOf(tag: string | null): string | undefined {
  return /^(?:W\/)?"?([0-9a-f]{64}|[0-9a-f]{40})"?$/.exec(tag ?? "")?.[1];
}

function countOf(text: string | null): number | undefined {
  return /^\d{1,15}$/.test(text ?? "") ? Number(text) : undefined;
}
