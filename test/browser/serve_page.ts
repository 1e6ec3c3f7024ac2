import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import type { InstalledPackage } from "../support/installed_package.ts";

/** A page on this machine, with the package as its import map resolves it. */
export interface Served {
  readonly url: string;
  close(): Promise<void>;
}

/** What a page can load besides the package. */
export interface ServePageOptions {
  /** TypeScript modules by the name they have on the page; their imports of `src/…/mod.ts` become the package's. */
  readonly modules: Readonly<Record<string, string>>;
  /** Other files by name. */
  readonly files: Readonly<Record<string, Uint8Array | string>>;
}

const types: Readonly<Record<string, string>> = { html: "text/html", js: "text/javascript" };

/** Serves a package, an empty page whose import map finds it, and modules and files for that page. */
export async function servePage(installed: InstalledPackage, options: ServePageOptions): Promise<Served> {
  const { folder, manifest } = installed;
  const imports: Record<string, string> = {};
  for (const [face, conditions] of Object.entries(manifest.exports)) {
    if (typeof conditions !== "string") {
      imports[face.replace(/^\./, "federa")] = resolve("/", conditions.browser);
    }
  }
  const contents = new Map<string, Uint8Array | string>(
    Object.entries(options.files).map(([name, content]) => [`/${name}`, content]),
  );
  contents.set(
    "/index.html",
    `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script>`,
  );
  for (const [name, path] of Object.entries(options.modules)) contents.set(`/${name}`, await forPage(path));
  const server = createServer(async (request, response) => {
    const name = new URL(request.url!, "http://localhost").pathname;
    try {
      const content = contents.get(name) ??
        // Nothing but the package itself is served from the disk.
        (name.startsWith("/dist/browser/") ? await readFile(join(folder, name)) : undefined);
      response.writeHead(content === undefined ? 404 : 200, {
        "content-type": types[name.split(".").at(-1)!] ?? "application/octet-stream",
      });
      response.end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((done) => (server.close(() => done()), server.closeAllConnections())),
  };
}

/** A module as JavaScript that imports the package by its name. */
async function forPage(path: string): Promise<string> {
  const { outputFiles: [output] } = await build({
    entryPoints: [path],
    bundle: true,
    write: false,
    format: "esm",
    plugins: [{
      name: "package",
      setup({ onResolve }) {
        onResolve({ filter: /\/src\/mod\.ts$/ }, () => ({ path: "federa", external: true }));
      },
    }],
  });
  return output!.text;
}
