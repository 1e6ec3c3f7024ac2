import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { setUpBrowser } from "../../scripts/setup_browser.ts";
import { decodePayload, importPeft, memoryModelFiles, modelOutputs, openPeftAdapter } from "../../src/mod.ts";
import { assertClose } from "../support/compare.ts";
import { type InstalledPackage, installPackage, root } from "../support/installed_package.ts";
import { readmeBlocks, withoutTypes } from "../support/readme.ts";
import { without } from "../support/tools.ts";
import { writeTinyCheckpoint } from "../support/tiny_checkpoint.ts";
import { openClassifier, runFederation } from "./federation.ts";
import type { nodeOnlyCalls } from "./node_only.ts";
import { type Served, servePage } from "./serve_page.ts";

const faces = ["", "/engine", "/data", "/hub", "/models", "/tasks", "/federa", "/fl"];
const modelNames = ["config.json", "model.safetensors", "tokenizer.json"];

/** Path of the browser, or why there is none. */
function findBrowser(): { readonly path: string } | { readonly reason: string } {
  const reason = without("npm", "typescript");
  if (reason !== false) return { reason };
  try {
    return { path: setUpBrowser({ report: (line) => console.error(line) }) };
  } catch (error) {
    return { reason: (error as Error).message };
  }
}

const browser = findBrowser();
const skip = "reason" in browser && browser.reason;
let folder: string;
let installed: InstalledPackage;
let served: Served;
let context: BrowserContext;
let model: Record<string, Uint8Array<ArrayBuffer>>;

before(async () => {
  if (!("path" in browser)) return;
  folder = await mkdtemp(join(tmpdir(), "federa-chromium-"));
  installed = await installPackage();
  await writeTinyCheckpoint(join(folder, "model"), { seed: 1 });
  const contents = await Promise.all(modelNames.map((name) => readFile(join(folder, "model", name))));
  model = Object.fromEntries(modelNames.map((name, i) => [name, new Uint8Array(contents[i]!)]));
  const blocks = await readmeBlocks();
  const example = async (marker: string) => {
    const found = blocks.filter(({ language, code }) => language === "ts" && code.includes(marker));
    assert.equal(found.length, 1);
    return await withoutTypes(found[0]!.code);
  };
  served = await servePage(installed, {
    modules: {
      "federation.js": join(import.meta.dirname, "federation.ts"),
      "node_only.js": join(import.meta.dirname, "node_only.ts"),
    },
    files: {
      "engine_example.js": await example('from "federa/engine"'),
      "model_example.js": await example("memoryModelFiles"),
      ...Object.fromEntries(Object.entries(model).map(([name, bytes]) => [`model/${name}`, bytes])),
    },
  });
  context = await chromium.launchPersistentContext(join(folder, "profile"), {
    executablePath: browser.path,
    args: [
      "--headless=new",
      "--enable-unsafe-webgpu",
      "--use-webgpu-adapter=swiftshader",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // Chromium refuses its own sandbox to root, as whom containers run.
      ...process.getuid?.() === 0 ? ["--no-sandbox"] : [],
    ],
  });
});
after(async () => {
  await context?.close();
  await served?.close();
  await installed?.remove();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

/** Runs a step in a new page, which must raise no errors of its own. */
async function inPage<T>(step: (page: Page) => Promise<T>): Promise<T> {
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  try {
    await page.goto(`${served.url}/index.html`);
    const result = await step(page);
    assert.deepEqual(errors, []);
    return result;
  } finally {
    await page.close();
  }
}

for (const face of faces) {
  test(`federa${face} loads in a browser and exports what it does in Node`, { skip }, async () => {
    const source = pathToFileURL(join(root, "src", face, "mod.ts")).href;
    const expected = Object.keys(await import(source) as object).sort();
    const found = await inPage((page) =>
      page.evaluate(async (name) => Object.keys(await import(name) as object).sort(), `federa${face}`)
    );
    assert.deepEqual(found, expected);
  });
}

test("README's engine example prints its numbers in a browser", { skip }, async () => {
  const printed = await inPage((page) =>
    page.evaluate(async () => {
      const lines: number[][] = [];
      console.log = (values: Float32Array) => lines.push([...values]);
      await import("/engine_example.js" as string);
      return lines;
    })
  );
  assert.deepEqual(printed[0], [14, 0, 28, 32, 0, 64]);
  // σ₁ of [[1, 2, 3], [4, 5, 6]] is √((91 + √8065)/2).
  assertClose(printed[1]!, [Math.sqrt((91 + Math.sqrt(8065)) / 2)], { relative: 1e-6 });
  assert.equal(printed.length, 2);
});

test("README's example of a model from bytes runs in a browser", { skip }, async () => {
  const { labels, inputIds, attentionMask } = await inPage((page) =>
    page.evaluate(async () => {
      const { pretrained, data } = await import("/model_example.js" as string) as {
        pretrained: { task: { labels: readonly string[] } };
        data: { inputs: Readonly<Record<"inputIds" | "attentionMask", { data: ArrayLike<number> }>> };
      };
      return {
        labels: pretrained.task.labels,
        inputIds: Array.from(data.inputs.inputIds.data),
        attentionMask: Array.from(data.inputs.attentionMask.data),
      };
    })
  );
  assert.deepEqual(labels, ["ham", "spam"]);
  // [CLS] win a free prize [SEP], by their places in the vocabulary.
  const row = (...values: number[]) => Array.from({ length: 32 }, (_, i) => values[i] ?? 0);
  assert.deepEqual(inputIds, row(2, 4, 5, 6, 7, 3));
  assert.deepEqual(attentionMask, row(1, 1, 1, 1, 1, 1));
});

test("what needs Node says so by name in a browser", { skip }, async () => {
  const failures = await inPage((page) =>
    page.evaluate(async () => {
      const module = await import("/node_only.js" as string) as { nodeOnlyCalls: typeof nodeOnlyCalls };
      const failures: [string, string][] = [];
      for (const [name, call] of Object.entries(module.nodeOnlyCalls)) {
        try {
          await call();
          failures.push([name, "nothing"]);
        } catch (error) {
          failures.push([name, error instanceof Error ? error.message : String(error)]);
        }
      }
      return failures;
    })
  );
  assert.equal(failures.length, 31);
  const wrong = failures.filter(([, message]) =>
    !/Cannot (call|use) [\w.]+ of Node's [\w/]+ module: it exists in Node alone$/.test(message)
  );
  assert.deepEqual(wrong, []);
});

test(
  "a model from bytes trains, exports and loads back in a browser as in Node",
  { skip },
  async () => {
    const inBrowser = await inPage((page) =>
      page.evaluate(async (names) => {
        const { runFederation: run } = await import("/federation.js" as string) as {
          runFederation: typeof runFederation;
        };
        const fetched = async (name: string) => [name, await (await fetch(`/model/${name}`)).blob()] as const;
        return await run(Object.fromEntries(await Promise.all(names.map(fetched))));
      }, modelNames)
    );
    const inNode = await runFederation(model);
    // Two layers of dot products of up to 20 terms around 1, each off by up to 20 · 2⁻²⁴ on either adapter, come to 1e-5 at most;
    // gradients are as exact, and 50 steps of 0.2 that lower the loss don't let the differences grow faster than they add up.
    const [forward, trained] = [{ absolute: 1e-5 }, { absolute: 1e-4 }];
    assertClose(inBrowser.logits.before, inNode.logits.before, forward);
    assertClose(inBrowser.logits.trained, inNode.logits.trained, trained);
    assert.equal(inBrowser.losses.length, 2);
    assertClose(inBrowser.losses.flat(), inNode.losses.flat(), trained);
    // Training did something that those tolerances wouldn't hide.
    const moved = inNode.logits.trained.map((value, i) => Math.abs(value - inNode.logits.before[i]!));
    assert.ok(Math.min(...moved) > 0.05, `${moved}`);
    // The same adapter, loaded back on the same machine.
    assert.deepEqual(inBrowser.logits.ownAdapter, inBrowser.logits.trained);
    assertClose(inBrowser.logits.peftAdapter, inBrowser.logits.trained, forward);
    const classes = [0, 1, 2, 3].map((i) => {
      const [ham, spam] = inNode.logits.trained.slice(2 * i, 2 * i + 2) as [number, number];
      return spam > ham ? "spam" : "ham";
    });
    assert.deepEqual(inBrowser.predictions, classes);
    assert.deepEqual(inBrowser.loraNames, inNode.loraNames);
    assert.equal(inBrowser.loraNames.length, 24);
    const sent = [inBrowser, inNode].map(({ payload }) => decodePayload(Uint8Array.from(payload)));
    assert.deepEqual([...sent[0]!.keys()], [...sent[1]!.keys()]);
    for (const [name, { data }] of sent[0]!) assertClose(data, sent[1]!.get(name)!.data, trained);
    assert.equal(inBrowser.peft.config, inNode.peft.config);
    // What the page has exported, opened in Node.
    const { pretrained, family, test, gpu } = await openClassifier(memoryModelFiles(model));
    const adapter = await openPeftAdapter(memoryModelFiles({
      "adapter_config.json": inBrowser.peft.config,
      "adapter_model.safetensors": Uint8Array.from(inBrowser.peft.weights),
    }));
    const { model: imported } = await importPeft(pretrained, adapter, { family });
    assertClose((await modelOutputs(imported, test)).outputs, inBrowser.logits.trained, forward);
    gpu.close();
  },
);
