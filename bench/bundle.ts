import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { shaders } from "../scripts/read_shader.mjs";

/** In the package, which looks itself up by its name; the next build of `dist` removes it. */
const folder = fileURLToPath(new URL("../dist/bench", import.meta.url));

/**
 * Translates a program beforehand, as in the published package.
 *
 * @returns the path of what Node runs.
 */
export async function bundle(entry: URL, name: string): Promise<string> {
  const outdir = join(folder, name);
  await rm(outdir, { recursive: true, force: true });
  await build({
    entryPoints: { [name]: fileURLToPath(entry) },
    outdir,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    packages: "external",
    plugins: [shaders],
    logLevel: "warning",
  });
  return join(outdir, `${name}.js`);
}
