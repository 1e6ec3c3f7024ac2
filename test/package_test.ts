import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { build as esbuild } from "esbuild";
import { unpackTar } from "modern-tar";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FACES = [
  "federa",
  "federa/engine",
  "federa/data",
  "federa/models",
  "federa/tasks",
  "federa/federa",
  "federa/fl",
];
const run = promisify(execFile);

interface Manifest {
  dependencies: Record<string, string>;
  bin: { federa: string };
}

let project: string;
let installed: string;
let manifest: Manifest;
let packedPaths: string[];

/** Builds and packs the package, and unpacks the tarball into an empty project with its declared dependencies alone. */
before(async () => {
  project = await mkdtemp(join(tmpdir(), "federa-package-"));
  const stage = join(project, "stage");
  await mkdir(stage);
  const register = new URL("../scripts/register.mjs", import.meta.url).href;
  await run(process.execPath, ["--import", register, join(ROOT, "scripts/build.ts"), join(stage, "dist")], {
    cwd: ROOT,
  });
  for (const name of ["package.json", "LICENSE"]) await copyFile(join(ROOT, name), join(stage, name));
  const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--json"], {
    cwd: stage,
    shell: process.platform === "win32",
  });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  const entries = await unpackTar(gunzipSync(await readFile(join(stage, filename))), { strip: 1 });
  packedPaths = entries.filter(({ header }) => header.type === "file").map(({ header }) => header.name);

  installed = join(project, "node_modules/federa");
  for (const { header, data } of entries) {
    if (data === undefined) continue;
    await mkdir(dirname(join(installed, header.name)), { recursive: true });
    await writeFile(join(installed, header.name), data);
  }
  manifest = JSON.parse(await readFile(join(installed, "package.json"), "utf8")) as Manifest;
  for (const name of Object.keys(manifest.dependencies)) {
    const link = join(project, "node_modules", name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(ROOT, "node_modules", name), link, "junction");
  }
  await writeFile(join(project, "package.json"), JSON.stringify({ type: "module" }));
});

after(() => rm(project, { recursive: true, force: true }));

/** Runs a module in the project and gives what it prints, as JSON. */
async function runModule(code: string): Promise<unknown> {
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", code], { cwd: project });
  return JSON.parse(stdout);
}

test("npm pack takes the built files, the licence and the manifest alone", () => {
  const strangers = packedPaths.filter((path) =>
    path !== "package.json" && path !== "LICENSE" && !/^dist\/.*\.(js|js\.map|d\.ts)$/.test(path)
  );
  assert.deepEqual(strangers, []);
  assert.ok(packedPaths.includes("LICENSE"));
});

test("every entry point of the package imports in an empty project", async () => {
  const code = `const faces = await Promise.all(${JSON.stringify(FACES)}.map((face) => import(face)));
    console.log(JSON.stringify(faces.map((face) => Object.keys(face).length)));`;
  const counts = await runModule(code) as number[];
  assert.equal(counts.length, FACES.length);
  for (const [i, count] of counts.entries()) assert.ok(count > 0, `${FACES[i]} exports nothing`);
});

test("the entry points share one instance of what they export together", async () => {
  const code = `const [all, ...faces] = await Promise.all(${
    JSON.stringify(FACES)
  }.map((face) => import(face)));
    const differing = faces.flatMap((face) => Object.keys(face).filter((name) => all[name] !== face[name]));
    console.log(JSON.stringify({ differing, tensor: typeof all.Tensor }));`;
  assert.deepEqual(await runModule(code), { differing: [], tensor: "function" });
});

test("the package unpacks Parquet in a thread of its own", async () => {
  const path = join(ROOT, "test/golden/data/questions_zstd.parquet");
  const code = `const { readRows } = await import("federa/data");
    console.log((await readRows(${JSON.stringify(path)})).rows.length);`;
  assert.equal(await runModule(code), 3);
});

test("the command of the package prints its help", async () => {
  const { stdout } = await run(process.execPath, [join(installed, manifest.bin.federa), "--help"], {
    cwd: project,
  });
  assert.match(stdout, /federa/);
});

test("the browser bundle has no import but its own chunks", async () => {
  const folder = join(installed, "dist/browser");
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".js"));
  assert.ok(files.length >= FACES.length);
  const { metafile } = await esbuild({
    entryPoints: files.map((name) => join(folder, name)),
    outdir: join(project, "unwritten"),
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    // Nothing is resolved away: each import that is left in the files is listed as it stands.
    external: ["node:*"],
    packages: "external",
  });
  const foreign = Object.values(metafile.inputs).flatMap(({ imports }) => imports)
    .filter(({ external }) => external).map(({ path }) => path);
  assert.deepEqual(foreign, []);
});

test("the browser bundle loads where no Node module is used and exports what the Node build does", async () => {
  const bundle = pathToFileURL(join(installed, "dist/browser/index.js")).href;
  const code = `const [node, browser] = await Promise.all([import("federa"), import(${
    JSON.stringify(bundle)
  })]);
    console.log(JSON.stringify([Object.keys(node).sort(), Object.keys(browser).sort()]));`;
  const [node, browser] = await runModule(code) as [string[], string[]];
  assert.deepEqual(browser, node);
});

for (
  const [module, moduleResolution, lib] of [
    ["nodenext", "nodenext", ["es2022"]],
    ["esnext", "bundler", ["es2022", "dom"]],
  ] as const
) {
  test(`the declarations type-check in a strict project with ${moduleResolution} resolution`, async () => {
    const imports = FACES.map((face, i) => `import * as face${i} from "${face}";\n`).join("");
    const uses = `const tensor: InstanceType<typeof face1.Tensor> | null = null as face0.Tensor | null;\n` +
      `export { tensor, ${FACES.map((_, i) => `face${i}`).join(", ")} };\n`;
    await writeFile(join(project, "main.ts"), imports + uses);
    const compilerOptions = {
      module,
      moduleResolution,
      target: "es2022",
      lib,
      types: [],
      strict: true,
      noEmit: true,
    };
    const config = join(project, `tsconfig.${moduleResolution}.json`);
    await writeFile(config, JSON.stringify({ compilerOptions, files: ["main.ts"] }));
    const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
    const { stdout } = await run(process.execPath, [compiler, "-p", config], { cwd: project })
      .catch((error: { stdout: string }) => error);
    assert.equal(stdout, "");
  });
}
