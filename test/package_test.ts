import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build as esbuild } from "esbuild";
import { denoEnvironment, denoPath } from "../scripts/deno_command.ts";
import { readSafetensors } from "../src/models/mod.ts";
import { type InstalledPackage, installPackage, root } from "./support/installed_package.ts";
import { readmeBlocks } from "./support/readme.ts";
import { writeTinyCheckpoint } from "./support/tiny_checkpoint.ts";
import { tinyProject } from "./support/tiny_project.ts";
import { without } from "./support/tools.ts";

const FACES = [
  "federa",
  "federa/engine",
  "federa/data",
  "federa/hub",
  "federa/models",
  "federa/tasks",
  "federa/federa",
  "federa/fl",
  "federa/experiment",
];
const run = promisify(execFile);

const skip = without("npm", "typescript");
let installed: InstalledPackage;
before(async () => {
  if (skip === false) installed = await installPackage();
});
after(() => installed?.remove());

/** Runs a module in the project and gives what it prints, as JSON. */
async function runModule(code: string): Promise<unknown> {
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", code], {
    cwd: installed.project,
  });
  return JSON.parse(stdout);
}

test("npm pack takes the built files, the licence and the manifest alone", { skip }, () => {
  const strangers = installed.paths.filter((path) =>
    path !== "package.json" && path !== "LICENSE" && !/^dist\/.*\.(js|js\.map|d\.ts)$/.test(path)
  );
  assert.deepEqual(strangers, []);
  assert.ok(installed.paths.includes("LICENSE"));
});

test("every entry point of the package imports in an empty project", { skip }, async () => {
  const names = [...FACES, "federa/network"];
  const code = `const faces = await Promise.all(${JSON.stringify(names)}.map((face) => import(face)));
    console.log(JSON.stringify(faces.map((face) => Object.keys(face).length)));`;
  const counts = await runModule(code) as number[];
  assert.equal(counts.length, names.length);
  for (const [i, count] of counts.entries()) assert.ok(count > 0, `${names[i]} exports nothing`);
});

test("the entry points share one instance of what they export together", { skip }, async () => {
  const code = `const [all, ...faces] = await Promise.all(${
    JSON.stringify(FACES)
  }.map((face) => import(face)));
    const differing = faces.flatMap((face) => Object.keys(face).filter((name) => all[name] !== face[name]));
    console.log(JSON.stringify({ differing, tensor: typeof all.Tensor }));`;
  assert.deepEqual(await runModule(code), { differing: [], tensor: "function" });
});

test("the package reads Parquet in a process of its own", { skip }, async () => {
  const path = join(root, "test/golden/data/questions_zstd.parquet");
  const code = `const { readRows } = await import("federa/data");
    console.log((await readRows(${JSON.stringify(path)})).rows.length);`;
  assert.equal(await runModule(code), 3);
});

test("the command of the package prints its help", { skip }, async () => {
  const { stdout } = await run(process.execPath, [
    join(installed.folder, installed.manifest.bin.federa),
    "--help",
  ], {
    cwd: installed.project,
  });
  assert.match(stdout, /federa/);
});

/** Runs the project's Deno in the project, where what isn't permitted fails. */
function runDeno(args: readonly string[]) {
  return run(denoPath, args, {
    cwd: installed.project,
    env: { ...process.env, ...denoEnvironment, DENO_NO_PROMPT: "1" },
  });
}

test("the package trains on Deno by the program and with the permissions of docs/deno.md", {
  skip: skip || without("deno"),
}, async () => {
  const blocks = await readmeBlocks("docs/deno.md");
  const program = blocks.find(({ language }) => language === "ts")!.code;
  const command = blocks.find(({ code }) => code.startsWith("deno run "))!.code;
  const folder = (name: string) => join(installed.project, name);
  await writeTinyCheckpoint(folder("model"), { seed: 1 });
  await mkdir(folder("adapter"), { recursive: true });
  await writeFile(folder("train.ts"), program);
  const { stdout } = await runDeno(command.trim().split(" ").slice(1));
  assert.match(stdout, /^loss 0\.\d+/);
  const adapter = readSafetensors(await readFile(folder("adapter/adapter_model.safetensors")));
  assert.ok([...adapter.tensors.keys()].some((name) => name.includes("lora_A")));
});

test(
  "the command of the package runs an experiment on Deno",
  { skip: skip || without("deno") },
  async (t) => {
    const cli = join(installed.folder, installed.manifest.bin.federa);
    const project = await tinyProject(t);
    const { stdout } = await runDeno(["run", "-A", cli, "run", join(project, "config.json")]);
    assert.match(stdout, /^fedit +0\.\d+/m);
    const history = await readFile(join(project, "runs/tiny-001/fedit/history.jsonl"), "utf8");
    const { version } = JSON.parse(await readFile(join(root, "node_modules/deno/package.json"), "utf8"));
    assert.equal(JSON.parse(history.split("\n")[0]!).versions.deno, version);
  },
);

test("the browser bundle has no import but its own chunks", { skip }, async () => {
  const folder = join(installed.folder, "dist/browser");
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".js"));
  assert.ok(files.length >= FACES.length);
  const { metafile } = await esbuild({
    entryPoints: files.map((name) => join(folder, name)),
    outdir: join(installed.project, "unwritten"),
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    // Nothing is resolved away: each import that is left in the files is listed as it stands.
    external: ["node:*"],
    packages: "external",
  });
  const foreign = Object.values(metafile.inputs).flatMap(({ imports }) => imports)
    // The bundler brings helpers of its own where a package asks whether there is a `require`, as tweetnacl does.
    .filter(({ external, path }) => external && path !== "<runtime>").map(({ path }) => path);
  assert.deepEqual(foreign, []);
});

test("the browser bundle exports what the Node build does", { skip }, async () => {
  const bundle = pathToFileURL(join(installed.folder, "dist/browser/index.js")).href;
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
  test(
    `the declarations type-check in a strict project with ${moduleResolution} resolution`,
    { skip },
    async () => {
      const imports = FACES.map((face, i) => `import * as face${i} from "${face}";\n`).join("");
      const uses = `const tensor: InstanceType<typeof face1.Tensor> | null = null as face0.Tensor | null;\n` +
        `export { tensor, ${FACES.map((_, i) => `face${i}`).join(", ")} };\n`;
      await writeFile(join(installed.project, "main.ts"), imports + uses);
      const compilerOptions = {
        module,
        moduleResolution,
        target: "es2022",
        lib,
        types: [],
        strict: true,
        noEmit: true,
      };
      const config = join(installed.project, `tsconfig.${moduleResolution}.json`);
      await writeFile(config, JSON.stringify({ compilerOptions, files: ["main.ts"] }));
      const compiler = join(root, "node_modules/typescript/bin/tsc");
      const { stdout } = await run(process.execPath, [compiler, "-p", config], { cwd: installed.project })
        .catch((error: { stdout: string }) => error);
      assert.equal(stdout, "");
    },
  );
}
