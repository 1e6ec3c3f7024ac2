import { CorruptFileError } from "../../data/errors.ts";
import { describeCause } from "../../data/files/describe_cause.ts";
import { HubError, type HubErrorReason } from "../errors.ts";
import { redact } from "../redact.ts";
import { checkFileName } from "./file_name.ts";
import { openBlob } from "./model_file.ts";
import type { ModelFileProgress } from "./model_file_progress.ts";
import type { ModelFiles } from "./model_files.ts";

/** Options of {@linkcode urlModelFiles}. */
export interface UrlModelFilesOptions {
  /** Called with each piece that arrives. */
  readonly onProgress?: ((progress: ModelFileProgress) => void) | undefined;
  /** Ends requests and downloads, which reject with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The files of a model at an address, by `fetch()` alone, so that a page can open them. Each is fetched once, whole. The address is that
 * of the folder with `config.json`; that of a model's page on the Hugging Face hub means its files on the main branch. An answer that is
 * HTML counts as a file that the model doesn't have, as many servers answer so for whatever is missing.
 *
 * @throws {HubError} `invalid` when it isn't an address of http or https. The files throw it, with a `reason`, when a server doesn't give them.
 * @example
 * ```ts no-run
 * const files = urlModelFiles("https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2");
 * const { encoder } = await openPretrained(gpu, files);
 * ```
 */
export function urlModelFiles(address: string, options: UrlModelFilesOptions = {}): ModelFiles {
  const folder = folderOf(address);
  const source = redact(folder.href.slice(0, folder.href.length - folder.search.length));
  const opened = new Map<string, Promise<Blob | undefined>>();
  const once = (name: string) => {
    const known = opened.get(name) ?? download(folder, name, options);
    opened.set(name, known);
    // What failed may be asked for again.
    known.catch(() => opened.delete(name));
    return known;
  };
  return {
    source,
    async has(name) {
      const known = opened.get(name);
      if (known !== undefined) return await known !== undefined;
      return await request(folder, name, { ...options, method: "HEAD" }) !== undefined;
    },
    async open(name) {
      const blob = await once(name);
      return blob && openBlob(`${source}${name}`, blob);
    },
  };
}

/** The folder of an address, which ends with a slash. */
function folderOf(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new HubError(
      `Cannot open model ${
        JSON.stringify(redact(address))
      }: expected an address such as https://example.org/models/minilm`,
      "invalid",
    );
  }
  // A page of the hub: its files are beside it.
  const [, name, revision = "main"] =
    /^\/([\w.-]+\/[\w.-]+)(?:\/(?:tree|resolve|blob)\/([^/]+))?\/?$/.exec(url.pathname) ?? [];
  if (url.hostname === "huggingface.co" && name !== undefined) url.pathname = `/${name}/resolve/${revision}/`;
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  url.hash = "";
  return url;
}

async function request(
  folder: URL,
  name: string,
  { method, signal }: { readonly method: "GET" | "HEAD"; readonly signal?: AbortSignal | undefined },
): Promise<Response | undefined> {
  checkFileName(name);
  const url = new URL(name.split("/").map(encodeURIComponent).join("/"), folder);
  url.search = folder.search;
  const failed = (what: string, reason: HubErrorReason, cause?: unknown) =>
    new HubError(`Cannot fetch ${redact(url.href)}: ${what}`, reason, { cause });
  let response: Response;
  try {
    response = await fetch(url, { method, ...(signal && { signal }) });
  } catch (cause) {
    signal?.throwIfAborted();
    throw failed(
      `${describeCause(cause)}; the server may be away, or a page may not be allowed to read from there`,
      "offline",
      cause,
    );
  }
  const { status, headers } = response;
  if (status === 404 || status === 410 || /^text\/html\b/i.test(headers.get("content-type") ?? "")) {
    await response.body?.cancel();
    return undefined;
  }
  if (response.ok) return response;
  await response.body?.cancel();
  if (status === 401 || status === 403) throw failed(`the server refuses it (${status})`, "unauthorized");
  if (status === 429) throw failed("the server wants fewer requests (429); wait a while", "rate-limited");
  throw failed(`the server answered with status ${status}`, "server");
}

async function download(
  folder: URL,
  name: string,
  { onProgress, signal }: UrlModelFilesOptions,
): Promise<Blob | undefined> {
  const response = await request(folder, name, { method: "GET", signal });
  if (response === undefined) return undefined;
  const { headers, url } = response;
  // A packed body's length isn't that of the file.
  const stated = headers.get("content-encoding") === null ? headers.get("content-length") : null;
  const total = stated === null ? undefined : Number(stated);
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  const reader = response.body!.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((cause) => {
      signal?.throwIfAborted();
      throw new HubError(
        `Cannot fetch ${redact(url)}: the connection broke after ${bytes} bytes (${describeCause(cause)})`,
        "offline",
        { cause },
      );
    });
    if (done) break;
    chunks.push(value);
    bytes += value.length;
    onProgress?.({ file: name, phase: "download", bytes, total });
  }
  if (total !== undefined && bytes !== total) {
    throw new CorruptFileError(
      `Cannot fetch ${redact(url)}: expected ${total} bytes, got ${bytes}`,
    );
  }
  onProgress?.({ file: name, phase: "ready", bytes, total: bytes });
  return new Blob(chunks);
}
