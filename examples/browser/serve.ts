import { createReadStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join, resolve, sep } from "node:path";
import process from "node:process";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { buildExample } from "./build.ts";

/** Options of {@linkcode serveExample}. */
export interface ServeExampleOptions {
  /** Port on this machine; a free one by default. */
  readonly port?: number;
  /** Folders of models, each of which pages find at `models/` and its name. */
  readonly models?: readonly string[];
  /** Other origins that pages may talk to: a NATS server, `ws://…`, or one that has models, `https://…`. None by default. */
  readonly allow?: readonly string[];
}

/** A server of the pages. */
export interface ServedExample {
  /** Where the pages are, with a slash at the end. */
  readonly url: string;
  close(): Promise<void>;
}

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
  json: "application/json",
};

/**
 * Serves the built pages to this machine alone. Their policy lets them load from and talk to nothing but this server and what is allowed.
 *
 * @throws {RangeError} when what is allowed isn't an origin.
 */
export async function serveExample(
  folder: string,
  { port = 0, models = [], allow = [] }: ServeExampleOptions = {},
): Promise<ServedExample> {
  const places = new Map(models.map((model) => [basename(resolve(model)), resolve(model)]));
  const headers = {
    "content-security-policy": policyOf(allow),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
  };
  const server = createServer(async (request, response) => {
    try {
      const path = decodeURIComponent(new URL(request.url!, "http://localhost").pathname).slice(1);
      const [, model, name] = /^models\/([^/]+)\/(.+)$/.exec(path) ?? [];
      const found = model === undefined
        ? placeIn(folder, path === "" ? "index.html" : path)
        : placeIn(places.get(model), name!);
      await send(response, found, { headers, isHead: request.method === "HEAD" });
    } catch {
      response.destroy();
    }
  });
  await new Promise<void>((done, fail) => server.on("error", fail).listen(port, "127.0.0.1", done));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    close: () => new Promise((done) => (server.close(() => done()), server.closeAllConnections())),
  };
}

/** What pages may load and talk to: nothing inline, and nothing from elsewhere but data of the allowed origins. */
function policyOf(allow: readonly string[]): string {
  for (const origin of allow) {
    const isOrigin = URL.canParse(origin) && /^(https?|wss?):$/.test(new URL(origin).protocol) &&
      !/[\s;,]/.test(origin);
    if (!isOrigin) {
      throw new RangeError(
        `Cannot let pages talk to ${JSON.stringify(origin)}: expected an origin such as ws://127.0.0.1:9222`,
      );
    }
  }
  return [
    "default-src 'self'",
    `connect-src ${["'self'", ...allow].join(" ")}`,
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** The path of a file in a folder; undefined where it would lie outside. */
function placeIn(folder: string | undefined, name: string): string | undefined {
  if (folder === undefined) return undefined;
  const path = resolve(folder, name);
  return path.startsWith(resolve(folder) + sep) ? path : undefined;
}

async function send(
  response: ServerResponse,
  path: string | undefined,
  { headers, isHead }: { readonly headers: Readonly<Record<string, string>>; readonly isHead: boolean },
): Promise<void> {
  const info = path === undefined ? undefined : await stat(path).catch(() => undefined);
  if (path === undefined || !info?.isFile()) {
    response.writeHead(404, { ...headers, "content-type": "text/plain" }).end(
      isHead ? undefined : "There is no such file",
    );
    return;
  }
  const type = types[path.split(".").at(-1)!] ?? "application/octet-stream";
  response.writeHead(200, { ...headers, "content-type": type, "content-length": info.size });
  if (isHead) response.end();
  else await pipeline(createReadStream(path), response);
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "8080" },
      model: { type: "string", multiple: true, default: [] },
      allow: { type: "string", multiple: true, default: [] },
    },
  });
  const folder = await mkdtemp(join(tmpdir(), "federa-pages-"));
  try {
    await buildExample(folder);
    const served = await serveExample(folder, {
      port: Number(values.port),
      models: values.model,
      allow: values.allow,
    });
    console.log(`Serving ${served.url} to this machine; Ctrl-C ends it`);
    for (const model of values.model) {
      console.log(`  a model: ${served.url}models/${basename(resolve(model))}/`);
    }
    await new Promise((done) => process.once("SIGINT", done).once("SIGTERM", done));
    await served.close();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
