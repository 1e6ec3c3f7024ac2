import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A model on the server. */
export interface HubRepo {
  /** Files by commit and name. */
  readonly commits: Readonly<Record<string, Readonly<Record<string, Uint8Array>>>>;
  /** Commits by branch or tag. */
  readonly refs: Readonly<Record<string, string>>;
  /** Whoever doesn't show it is told that there is no such model. */
  readonly token?: string;
}

/** A request as it came in. */
export interface HubRequest {
  /** Who was asked: the hub, or the store that it redirects large files to. */
  readonly host: "hub" | "store";
  readonly method: string;
  /** Path and query, decoded. */
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** How to answer a request otherwise than a hub does. */
export interface Misbehaviour {
  /** Answer with this status and no content. */
  readonly status?: number;
  /** Headers to add. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Headers to leave out. */
  readonly without?: readonly string[];
  /** Answer with this text. */
  readonly text?: string;
  /** Close the connection without a word. */
  readonly drop?: boolean;
  /** Close the connection after so many bytes of the body. */
  readonly cutAfter?: number;
  /** End the body after so many bytes, as if that were all. */
  readonly endAfter?: number;
  /** Fall silent after so many bytes of the body. */
  readonly stallAfter?: number;
  /** Announce and send so many bytes, whatever the file has. */
  readonly length?: number;
  /** Flip a bit of the body's first byte. */
  readonly alter?: boolean;
  readonly ignoreRange?: boolean;
  /** Milliseconds before each byte of the body. */
  readonly drip?: number;
  /** Milliseconds before each of four parts of the body. */
  readonly delay?: number;
}

/** Whether a file is one that git keeps a pointer to. */
export function isLarge(name: string): boolean {
  return /\.(safetensors|bin)$/.test(name);
}

/** The hash by which the hub knows a file. */
export function hubEtag(name: string, bytes: Uint8Array): string {
  if (isLarge(name)) return createHash("sha256").update(bytes).digest("hex");
  return createHash("sha1").update(`blob ${bytes.byteLength}\0`).update(bytes).digest("hex");
}

/**
 * Two servers on the loopback that answer as the Hugging Face hub and its file store do, and misbehave on demand. Small
 * files are redirected to an address of the same host, large ones to the store with a signature, and each is described
 * by the headers that huggingface_hub reads.
 */
export class HubServer {
  readonly repos = new Map<string, HubRepo>();
  readonly requests: HubRequest[] = [];
  /** Asked about each request. */
  misbehave: (request: HubRequest) => Misbehaviour | undefined = () => undefined;
  readonly #hub = createServer((request, response) => this.#serve("hub", request, response));
  readonly #store = createServer((request, response) => this.#serve("store", request, response));

  static async start(): Promise<HubServer> {
    const server = new HubServer();
    await Promise.all([listen(server.#hub), listen(server.#store)]);
    return server;
  }

  get endpoint(): string {
    return addressOf(this.#hub);
  }

  get storeAddress(): string {
    return addressOf(this.#store);
  }

  async close(): Promise<void> {
    for (const server of [this.#hub, this.#store]) {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    }
  }

  async #serve(host: HubRequest["host"], message: IncomingMessage, response: ServerResponse): Promise<void> {
    const { authorization, range } = message.headers;
    const request: HubRequest = {
      host,
      method: message.method ?? "",
      path: decodeURIComponent(message.url ?? ""),
      range,
      authorization,
    };
    this.requests.push(request);
    const wrong = this.misbehave(request) ?? {};
    if (wrong.drop) return void message.socket.destroy();
    if (wrong.status !== undefined || wrong.text !== undefined) {
      return void response.writeHead(wrong.status ?? 200, wrong.headers).end(wrong.text);
    }
    const answer = host === "hub" ? this.#hubAnswer(request) : this.#storeAnswer(request);
    const headers: Record<string, string> = { ...answer.headers, ...wrong.headers };
    for (const name of wrong.without ?? []) delete headers[name];
    if (answer.body === undefined) return void response.writeHead(answer.status, headers).end();
    await sendBody(request, { ...answer, headers, body: answer.body }, wrong, response);
  }

  #hubAnswer({ path, authorization }: HubRequest): Answer {
    const match =
      /^\/(?:api\/models\/(?<api>.+?)\/(?:revision|(?<tree>tree))\/(?<rev>[^?]+)|(?:api\/resolve-cache\/models\/)?(?<repo>.+?)\/(?:resolve|blob-at)\/(?<at>[^/]+)\/(?<name>[^?]+))/
        .exec(path);
    const { api, tree, rev, repo: repoName, at, name } = match?.groups ?? {};
    const repo = this.repos.get(api ?? repoName ?? "");
    if (repo === undefined || (repo.token !== undefined && authorization !== `Bearer ${repo.token}`)) {
      return failure(401, "RepoNotFound", "Invalid username or password.");
    }
    const revision = rev ?? at ?? "";
    const commit = repo.refs[revision] ?? revision;
    const files = repo.commits[commit];
    if (files === undefined) return failure(404, "RevisionNotFound", `Invalid rev id: ${revision}`);
    if (api !== undefined) return listing(commit, files, tree !== undefined);
    const bytes = Object.hasOwn(files, name!) ? files[name!] : undefined;
    if (bytes === undefined) {
      return failure(404, "EntryNotFound", "Entry not found", { "x-repo-commit": commit });
    }
    const etag = hubEtag(name!, bytes);
    if (isLarge(name!)) {
      const location = `${this.storeAddress}/${etag}?signature=secret`;
      const linked = { "x-linked-etag": `"${etag}"`, "x-linked-size": `${bytes.byteLength}` };
      return { status: 302, headers: { ...linked, "x-repo-commit": commit, location } };
    }
    if (path.startsWith("/api/resolve-cache/")) {
      return { status: 200, headers: { etag: `"${etag}"`, "x-repo-commit": commit }, body: bytes };
    }
    const location = `/api/resolve-cache/models/${repoName}/blob-at/${commit}/${
      name!.split("/").map(encodeURIComponent).join("/")
    }?etag=${encodeURIComponent(`"${etag}"`)}`;
    return { status: 307, headers: { "x-repo-commit": commit, location } };
  }

  #storeAnswer({ path }: HubRequest): Answer {
    const [, etag, signature] = /^\/([0-9a-f]+)\?signature=(\w+)$/.exec(path) ?? [];
    if (signature !== "secret") return { status: 403, headers: {} };
    for (const { commits } of this.repos.values()) {
      for (const files of Object.values(commits)) {
        for (const [name, body] of Object.entries(files)) {
          // A store has tags of its own, which are no hashes of the file.
          if (hubEtag(name, body) === etag) return { status: 200, headers: { etag: '"d41d8cd9-2"' }, body };
        }
      }
    }
    return { status: 404, headers: {} };
  }
}

interface Answer {
  status: number;
  headers: Record<string, string>;
  body?: Uint8Array;
}

function failure(status: number, code: string, message: string, more: Record<string, string> = {}): Answer {
  return { status, headers: { "x-error-code": code, "x-error-message": message, ...more } };
}

function listing(commit: string, files: Readonly<Record<string, Uint8Array>>, isTree: boolean): Answer {
  const entries = Object.entries(files).map(([path, bytes]) => ({
    type: "file",
    path,
    size: bytes.byteLength,
    oid: hubEtag(path, bytes).slice(0, 40),
    ...(isLarge(path) && {
      lfs: { oid: hubEtag(path, bytes), size: bytes.byteLength, pointerSize: 134 },
    }),
  }));
  const siblings = Object.keys(files).map((rfilename) => ({ rfilename }));
  const value = isTree ? entries : { id: "model", sha: commit, siblings };
  return {
    status: 200,
    headers: { "content-type": "application/json" },
    body: Buffer.from(JSON.stringify(value)),
  };
}

async function sendBody(
  { method, range }: HubRequest,
  answer: Required<Answer>,
  wrong: Misbehaviour,
  response: ServerResponse,
): Promise<void> {
  let { status, headers, body } = answer;
  if (range !== undefined && !wrong.ignoreRange) {
    const start = Number(/^bytes=(\d+)-$/.exec(range)![1]);
    if (start >= body.byteLength) {
      return void response.writeHead(416, { "content-range": `bytes */${body.byteLength}` }).end();
    }
    status = 206;
    const end = body.byteLength - 1;
    headers = { "content-range": `bytes ${start}-${end}/${body.byteLength}`, ...headers };
    body = body.subarray(start);
  }
  body = Uint8Array.from(body);
  if (wrong.alter) body[0]! ^= 1;
  if (wrong.length !== undefined) {
    const other = new Uint8Array(wrong.length);
    other.set(body.subarray(0, wrong.length));
    body = other;
  }
  const isOpen = wrong.endAfter !== undefined;
  response.writeHead(status, isOpen ? headers : { "content-length": `${body.byteLength}`, ...headers });
  if (method === "HEAD") return void response.end();
  const until = wrong.cutAfter ?? wrong.endAfter ?? wrong.stallAfter;
  if (until !== undefined && until < body.byteLength) {
    response.flushHeaders();
    // The socket has the bytes before it is closed.
    if (until > 0) await new Promise((resolve) => response.write(body.subarray(0, until), resolve));
    if (wrong.cutAfter !== undefined) response.socket?.destroySoon();
    if (isOpen) response.end();
    return;
  }
  if (wrong.drip !== undefined) {
    for (let at = 0; at < body.byteLength && !response.destroyed; at++) {
      await new Promise((resolve) => setTimeout(resolve, wrong.drip));
      response.write(body.subarray(at, at + 1));
    }
    return void response.end();
  }
  if (wrong.delay !== undefined) {
    for (let part = 0; part < 4; part++) {
      await new Promise((resolve) => setTimeout(resolve, wrong.delay));
      const [from, to] = [part, part + 1].map((i) => Math.floor(body.byteLength * i / 4));
      response.write(body.subarray(from, to));
    }
    return void response.end();
  }
  response.end(body);
}

async function listen(server: Server): Promise<void> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
