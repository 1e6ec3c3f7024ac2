import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { loadSpamAssassin } from "../src/data/mod.ts";
import { parseConfig } from "../src/cli/config/parse_config.ts";
import { readSafetensors } from "../src/models/mod.ts";
import { fetchOrSkip } from "./data/fetch_or_skip.ts";

const root = join(import.meta.dirname, "..");
let folder: string;
let blocks: { language: string; code: string }[];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "federa-readme-"));
  const text = await readFile(join(root, "README.md"), "utf8");
  blocks = [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, code]) => ({
    language: language!,
    code: code!,
  }));
});
after(() => rm(folder, { recursive: true }));

/** Runs an example as it stands but for the package's names, which stand for its sources. */
async function run(code: string): Promise<string> {
  const face = (path: string) => JSON.stringify(pathToFileURL(join(root, "src", path, "mod.ts")).href);
  const path = join(folder, "example.mjs");
  await writeFile(path, code.replaceAll(/"federa(?:\/(\w+))?"/g, (_, name?: string) => face(name ?? "")));
  const register = pathToFileURL(join(root, "scripts/register.mjs")).href;
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", register, path], {
    cwd: folder,
  });
  return stdout;
}

function example(marker: string): string {
  const found = blocks.filter(({ language, code }) => language === "ts" && code.includes(marker));
  assert.equal(found.length, 1);
  return found[0]!.code;
}

test("README's engine example prints what it says", async () => {
  const output = await run(example('from "federa/engine"'));
  const numbers = [...output.matchAll(/\d+\.\d+/g)].map(Number);
  assert.match(output, /14,\s*0,\s*28,\s*32,\s*0,\s*64/);
  // σ₁ of [[1, 2, 3], [4, 5, 6]] is √((91 + √8065)/2).
  assert(numbers.some((value) => Math.abs(value - 9.508032) < 1e-4), output);
});

test("README's federation trains and exports an adapter", async (t) => {
  if (!await fetchOrSkip(t, () => loadSpamAssassin())) return;
  const output = await run(example("for await (const event of run)"));
  assert.match(output, /round: 2/);
  assert((await readdir(folder)).includes("adapter_model.safetensors"));
  const { tensors } = readSafetensors(await readFile(join(folder, "adapter_model.safetensors")));
  // Four attention projections of rank 8, doubled by the part taken out of the weights.
  assert.equal(tensors.size, 8);
  assert.deepEqual(tensors.get("encoder.layers.0.attention.qkv.lora_A.weight")?.shape, [16, 256]);
});

test("README's configurations are valid", () => {
  const configs = blocks.filter(({ language }) => language === "json").map(({ code }) =>
    parseConfig(JSON.parse(code))
  );
  assert.deepEqual(configs.map(({ name }) => name), ["reviews", "mail"]);
});
