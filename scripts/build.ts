import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build as esbuild, type BuildOptions, type Plugin } from "esbuild";
import { nodeStubs } from "./node_stubs.ts";
import { shaders } from "./read_shader.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The source file of each public face; the names are those of the files that `exports` in package.json points to. */
const FACES: Record<string, string> = {
  index: "src/mod.ts",
  data: "src/data/mod.ts",
  hub: "src/hub/mod.ts",
  engine: "src/engine/mod.ts",
  models: "src/models/mod.ts",
  tasks: "src/tasks/mod.ts",
  federa: "src/federa/mod.ts",
  fl: "src/fl/mod.ts",
  experiment: "src/experiment/mod.ts",
  network: "src/network/mod.ts",
};
const COMMAND = { cli: "src/cli/main.ts" };
/** What `#built-webgpu-provider` in package.json chooses between. */
const PROVIDERS = {
  webgpu_node: "src/engine/gpu/_provider_node.ts",
  webgpu_deno: "src/engine/gpu/_provider_deno.ts",
};

/** Leaves the choice of the WebGPU implementation to the runtime that loads the files built for Node, which may be Deno. */
const providerOfRuntime: Plugin = {
  name: "provider-of-runtime",
  setup(build) {
    build.onResolve({ filter: /^#webgpu-provider$/ }, () => {
      return { path: "#built-webgpu-provider", external: true, sideEffects: false };
    });
  },
};

const SHARED: BuildOptions = {
  absWorkingDir: ROOT,
  bundle: true,
  // One chunk for what several faces share: a Tensor made by one is an instance of the other's class.
  splitting: true,
  format: "esm",
  chunkNames: "chunks/[name]-[hash]",
  plugins: [shaders],
  sourcemap: true,
  logLevel: "warning",
};

/** Builds the whole of `dist` in a folder beside it and then takes its place, so a failed build changes nothing. */
async function buildPackage(destination: string): Promise<void> {
  const draft = await mkdtemp(`${destination}.tmp-`);
  try {
    await Promise.all([
      esbuild({
        ...SHARED,
        entryPoints: { ...FACES, ...COMMAND, ...PROVIDERS },
        outdir: join(draft, "node"),
        platform: "node",
        target: "node20",
        packages: "external",
        plugins: [shaders, providerOfRuntime],
      }),
      esbuild({
        ...SHARED,
        entryPoints: FACES,
        outdir: join(draft, "browser"),
        platform: "browser",
        // The first releases with WebGPU.
        target: ["chrome113", "firefox141", "safari26"],
        plugins: [shaders, nodeStubs],
      }),
    ]);
    await buildDeclarations(join(draft, "types"));
    await rm(destination, { recursive: true, force: true });
    await rename(draft, destination);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
}

async function buildDeclarations(folder: string): Promise<void> {
  const compiler = join(
    dirname(createRequire(import.meta.url).resolve("typescript/package.json")),
    "bin/tsc",
  );
  execFileSync(process.execPath, [compiler, "-p", "tsconfig.build.json", "--outDir", folder], {
    cwd: ROOT,
    stdio: "inherit",
  });
  for (const name of await readdir(folder, { recursive: true })) {
    if (!name.endsWith(".d.ts")) continue;
    const path = join(folder, name);
    await writeFile(path, publishable(await readFile(path, "utf8")));
  }
}

/**
 * Makes a declaration file independent of the user's compiler settings: imports name the `.js` files that stand
 * beside it, and the type libraries it needs are referenced.
 */
function publishable(declarations: string): string {
  const references = [];
  if (/\bGPU[A-Z]/.test(declarations)) references.push(`/// <reference lib="dom" />\n`);
  if (/\bSymbol\.(async)?dispose/i.test(declarations)) {
    references.push(`/// <reference lib="esnext.disposable" />\n`);
  }
  return references.join("") +
    declarations.replaceAll(/((?:from|import) |import\()"(\.[^"]*)\.ts"/g, '$1"$2.js"');
}

const destination = process.argv[2] ?? join(ROOT, "dist");
try {
  await buildPackage(destination);
  console.log(`Built ${relative(process.cwd(), destination)}`);
} catch (error) {
  // The compilers have said what is wrong: a stack of this script would only bury it.
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
