import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import process from "node:process";
import { build } from "esbuild";
import { nodeStubs } from "../../scripts/node_stubs.ts";
import { shaders } from "../../scripts/read_shader.mjs";

const own = import.meta.dirname;
/** The pages, which share parts. */
const pages = ["index.html", "together.html"];
/** What is served as it is. */
const files = ["style.css", "icon.svg"];

/** Builds the pages into a folder that any server of files can serve. */
export async function buildExample(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const name of files) await cp(join(own, name), join(folder, name));
  for (const name of pages) await writeFile(join(folder, name), await assemble(name));
  await build({
    absWorkingDir: join(own, "../.."),
    entryPoints: {
      alone: join(own, "alone/main.ts"),
      together: join(own, "together/main.ts"),
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

/** A page with its parts, each of which has a number in it: `<!-- part data 2 -->` stands for `parts/data.html`. */
async function assemble(page: string): Promise<string> {
  let html = await readFile(join(own, page), "utf8");
  for (const [mark, part, number] of html.matchAll(/<!-- part (\w+) (\d+) -->/g)) {
    const content = await readFile(join(own, "parts", `${part}.html`), "utf8");
    html = html.replace(mark, () => content.replace("{number}", number!));
  }
  return html;
}

if (process.argv[1] === import.meta.filename) {
  const folder = process.argv[2] ?? join(own, "dist");
  await buildExample(folder);
  console.log(`Built ${relative(process.cwd(), folder)}; serve it over https, or on localhost`);
}
