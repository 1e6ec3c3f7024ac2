import { cp, mkdir, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import process from "node:process";
import { build } from "esbuild";
import { nodeStubs } from "../../scripts/node_stubs.ts";
import { shaders } from "../../scripts/read_shader.mjs";

const own = import.meta.dirname;
/** The files of the pages that are served as they are. */
const files = ["index.html", "style.css", "icon.svg"];

/** Builds the pages into a folder that any server of files can serve. */
export async function buildExample(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const name of files) await cp(join(own, name), join(folder, name));
  await build({
    absWorkingDir: join(own, "../.."),
    entryPoints: {
      alone: join(own, "alone/main.ts"),
      worker: join(own, "trainer/worker.ts"),
    },
    outdir: folder,
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    platform: "browser",
    // The first releases with WebGPU.
    target: ["chrome113", "firefox141", "safari26"],
    chunkNames: "chunks/[name]-[hash]",
    // `federa` means the sources beside these, as in tsconfig.json.
    tsconfig: join(own, "../../tsconfig.json"),
    plugins: [shaders, nodeStubs],
    legalComments: "linked",
    logLevel: "warning",
  });
}

if (process.argv[1] === import.meta.filename) {
  const folder = process.argv[2] ?? join(own, "dist");
  await buildExample(folder);
  console.log(`Built ${relative(process.cwd(), folder)}; serve it over https, or on localhost`);
}
