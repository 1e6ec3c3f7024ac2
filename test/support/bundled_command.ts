import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { build } from "esbuild";
import { shaders } from "../../scripts/read_shader.mjs";
import { root } from "./installed_package.ts";

/**
 * Node's arguments that start the command: bundled from the sources when this module is loaded, as users have it, so that each start
 * takes a quarter of the time. The bundle stands in a package of its own and goes with this process.
 */
export const commandArguments: readonly string[] = [await bundleCommand()];

async function bundleCommand(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "federa-command-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  copyFileSync(join(root, "package.json"), join(folder, "package.json"));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  await build({
    absWorkingDir: root,
    entryPoints: { federa: "src/cli/main.ts" },
    outdir: folder,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    packages: "external",
    plugins: [shaders],
  });
  return join(folder, "federa.js");
}
