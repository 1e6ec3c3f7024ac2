import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { unpackTar } from "modern-tar";

/** Folder of the project. */
export const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

/** What tests look at in the package's own package.json. */
export interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly bin: { readonly federa: string };
  /** Files by entry point and condition. */
  readonly exports: Readonly<Record<string, Readonly<Record<"types" | "browser" | "default", string>>>>;
}

/** The package as a user has it. */
export interface InstalledPackage {
  /** A project that has installed it. */
  readonly project: string;
  /** Its folder there. */
  readonly folder: string;
  readonly manifest: Manifest;
  /** The files that were packed. */
  readonly paths: readonly string[];
  /** Removes the project. */
  remove(): Promise<void>;
}

/** Builds and packs the package, and unpacks the tarball into an empty project with its declared dependencies alone. */
export async function installPackage(): Promise<InstalledPackage> {
  const project = await mkdtemp(join(tmpdir(), "federa-package-"));
  const stage = join(project, "stage");
  await mkdir(stage);
  const register = new URL("../../scripts/register.mjs", import.meta.url).href;
  await run(process.execPath, ["--import", register, join(root, "scripts/build.ts"), join(stage, "dist")], {
    cwd: root,
  });
  for (const name of ["package.json", "LICENSE"]) await copyFile(join(root, name), join(stage, name));
  const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--json"], {
    cwd: stage,
    shell: process.platform === "win32",
  });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  const entries = await unpackTar(gunzipSync(await readFile(join(stage, filename))), { strip: 1 });
  const paths = entries.filter(({ header }) => header.type === "file").map(({ header }) => header.name);
  const folder = join(project, "node_modules/federa");
  for (const { header, data } of entries) {
    if (data === undefined) continue;
    await mkdir(dirname(join(folder, header.name)), { recursive: true });
    await writeFile(join(folder, header.name), data);
  }
  const manifest = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as Manifest;
  for (const name of Object.keys(manifest.dependencies)) {
    const link = join(project, "node_modules", name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, "node_modules", name), link, "junction");
  }
  await writeFile(join(project, "package.json"), JSON.stringify({ type: "module" }));
  return { project, folder, manifest, paths, remove: () => rm(project, { recursive: true, force: true }) };
}
