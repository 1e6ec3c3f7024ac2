import { Buffer } from "node:buffer";
import { CorruptFileError } from "../../data/errors.ts";
import { HubError } from "../errors.ts";
import { printableJson } from "../../data/text/printable.ts";
import { redact } from "../redact.ts";
import { answerFailure } from "./_answer_failure.ts";
import { contentLength, FileHeaders, type FileInfo } from "./_file_headers.ts";
import { type Answer, follow } from "./_follow.ts";
import { type Patience, withRetries } from "./retry.ts";

/** A commit of a repository and the names of its files. */
export interface RepoListing {
  readonly commit: string;
  readonly names: ReadonlySet<string>;
}

/** Which bytes of a file to ask for. */
export interface BytesRequest {
  readonly commit: string;
  readonly name: string;
  /** First byte. */
  readonly offset: number;
  /** Bytes of the whole file, where known. */
  readonly size: number | undefined;
}

/** Bytes of a file. */
export interface FileBytes {
  /** Where in the file they begin: where they were asked from, or 0 from a server that sends the whole. */
  readonly offset: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Options of {@linkcode HubClient}. */
export interface HubClientOptions {
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly patience: Patience;
  readonly signal: AbortSignal | undefined;
}

/** Bytes of the longest list of files that is read. */
const LONGEST_LISTING = 2 ** 26;

/** The hub's HTTP interface for one repository. The token goes to the endpoint's origin and nowhere else. */
export class HubClient {
  readonly #repo: string;
  readonly #options: HubClientOptions;
  readonly #origin: string;

  constructor(repo: string, options: HubClientOptions) {
    this.#repo = repo;
    this.#options = options;
    this.#origin = new URL(options.endpoint).origin;
  }

  /**
   * The commit that a revision stands for now, and its files.
   *
   * @throws {HubError}
   */
  async listing(revision: string): Promise<RepoListing> {
    const purpose = `Cannot open hf:${this.#repo}@${revision}`;
    const path = `/api/models/${this.#repo}/revision/${encodeURIComponent(revision)}`;
    const text = await this.retry(() =>
      this.#get(purpose, path, {}, async ({ response, body, url }) => {
        if (response.status !== 200) throw this.#failure(purpose, url, response);
        return await readText(purpose, body);
      })
    );
    return readListing(purpose, text, (words) => this.#quote(words));
  }

  /**
   * Hash and size of a file, without its bytes.
   *
   * @throws {HubError}
   */
  async fileInfo(commit: string, name: string): Promise<FileInfo> {
    const purpose = this.purpose(name);
    return await this.retry(async () => {
      const headers = new FileHeaders();
      await this.#follow(purpose, "HEAD", this.#filePath(commit, name), {}, async (answer) => {
        const { response, next, url } = answer;
        if (next === undefined && response.status !== 200) throw this.#failure(purpose, url, response);
        headers.add(response.headers, next === undefined);
        // The store behind the last redirect need not be asked.
        return next === undefined || headers.isComplete ? { value: undefined } : undefined;
      });
      return headers.read(purpose, commit);
    });
  }

  /**
   * Makes one attempt to get bytes of a file. A server that ignores the offset, or refuses it, begins at 0 again.
   *
   * @throws {PassingFailure} when another attempt may succeed.
   * @throws {HubError}
   * @throws {CorruptFileError} when the server announces another size than `size`.
   */
  async bytes<T>(request: BytesRequest, use: (bytes: FileBytes) => Promise<T>): Promise<T> {
    const { commit, name, offset, size } = request;
    const purpose = this.purpose(name);
    const range: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
    return await this.#get(purpose, this.#filePath(commit, name), range, async (answer) => {
      const { response, body, url } = answer;
      if (offset > 0 && (response.status === 416 || isOtherRange(response, offset))) {
        return await use({ offset: 0, chunks: nothing() });
      }
      if (response.status !== 200 && !(offset > 0 && response.status === 206)) {
        throw this.#failure(purpose, url, response);
      }
      const start = response.status === 206 ? offset : 0;
      const length = contentLength(response.headers);
      if (size !== undefined && length !== undefined && start + length !== size) {
        throw new CorruptFileError(
          `${purpose}: ${url.host} announces ${start + length} bytes, the hub says ${size}`,
        );
      }
      return await use({ offset: start, chunks: body });
    });
  }

  /** Runs a step again while it fails in a way that may pass; see {@linkcode withRetries}. */
  async retry<T>(step: (advanced: () => void) => Promise<T>): Promise<T> {
    return await withRetries(this.#options.patience, step, this.#options.signal);
  }

  /** Start of every message about a file. */
  purpose(name: string): string {
    return `Cannot download ${name} of hf:${this.#repo}`;
  }

  /** A server's own words, short and in one line, without the token that it may say back. */
  #quote(words: string): string {
    const { token } = this.#options;
    const shown = token === undefined ? words : words.replaceAll(token, "…");
    return printableJson(redact(shown.slice(0, 10_000)).slice(0, 200));
  }

  #filePath(commit: string, name: string): string {
    return `/${this.#repo}/resolve/${commit}/${name.split("/").map(encodeURIComponent).join("/")}`;
  }

  #failure(purpose: string, url: URL, response: Response): Error {
    return answerFailure(response, {
      purpose,
      host: url.host,
      ofHub: url.origin === this.#origin,
      page: `${this.#options.endpoint}/${this.#repo}`,
      hasToken: this.#options.token !== undefined,
      quote: (words) => this.#quote(words),
    });
  }

  #get<T>(
    purpose: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    use: (answer: Answer) => Promise<T>,
  ): Promise<T> {
    return this.#follow(
      purpose,
      "GET",
      path,
      headers,
      async (answer) => answer.next === undefined ? { value: await use(answer) } : undefined,
    );
  }

  #follow<T>(
    purpose: string,
    method: "GET" | "HEAD",
    path: string,
    headers: Readonly<Record<string, string>>,
    use: (answer: Answer) => Promise<{ value: T } | undefined>,
  ): Promise<T> {
    const { endpoint, token, signal, patience: { longestSilence } } = this.#options;
    const always = { "accept-encoding": "identity", "user-agent": "federa", ...headers };
    const headersFor = (url: URL) =>
      token !== undefined && url.origin === this.#origin
        ? { ...always, authorization: `Bearer ${token}` }
        : always;
    return follow(
      { purpose, method, url: new URL(endpoint + path), headersFor, longestSilence, signal },
      use,
    );
  }
}

/** Whether a server sends a range that was not asked for. */
function isOtherRange({ status, headers }: Response, offset: number): boolean {
  return status === 206 && !(headers.get("content-range") ?? "").startsWith(`bytes ${offset}-`);
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function readText(purpose: string, body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length > LONGEST_LISTING) {
      throw new HubError(`${purpose}: the list of files is longer than ${LONGEST_LISTING} bytes`, "server");
    }
  }
  return Buffer.concat(chunks).toString("utf8");
}

function readListing(purpose: string, text: string, quote: (words: string) => string): RepoListing {
  let answer: { sha?: unknown; siblings?: unknown } | null = null;
  try {
    answer = JSON.parse(text);
  } catch {
    // Reported below, in the same words as JSON of another shape.
  }
  const files = Array.isArray(answer?.siblings) ? answer.siblings : [];
  const names = files.map((file: { rfilename?: unknown } | null) => file?.rfilename);
  const isWhole = Array.isArray(answer?.siblings) && names.every((name) => typeof name === "string");
  if (typeof answer?.sha === "string" && /^[0-9a-f]{40}$/.test(answer.sha) && isWhole) {
    return { commit: answer.sha, names: new Set(names as string[]) };
  }
  throw new HubError(
    `${purpose}: the answer isn't from a hub: it should have sha and siblings, got ${
      quote(text)
    }; check HF_ENDPOINT`,
    "server",
  );
}
