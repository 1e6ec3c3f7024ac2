import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { unpackTar } from "modern-tar";
import type { Page } from "playwright-core";
import type { Settings, TrainingEvent } from "../../../examples/browser/trainer/alone_calls.ts";
import { aloneHandlers } from "../../../examples/browser/trainer/alone_handlers.ts";
import { Workbench } from "../../../examples/browser/trainer/workbench.ts";
import {
  classification,
  decodeAdapter,
  importPeft,
  loadTokenizer,
  memoryModelFiles,
  modelOutputs,
  openGpu,
  type OpenPeftAdapter,
  openPeftAdapter,
  openPretrained,
  TaskModel,
} from "../../../src/mod.ts";
import { assertClose } from "../../support/compare.ts";
import { findBrowser, openPages, type Pages, squeezed, violations, waitForText } from "./pages.ts";
import { spamCsv } from "./tables.ts";

const browser = findBrowser();
const skip = "reason" in browser && browser.reason;
let pages: Pages;
/** The page of most tests, one after another. */
let page: Page;

before(async () => {
  if (!("path" in browser)) return;
  pages = await openPages(browser.path);
  page = await pages.open();
});
after(() => pages?.close());

const table = (name: string, content: string) => ({
  name,
  mimeType: "text/csv",
  buffer: Buffer.from(content),
});
const settings: Settings = {
  method: "federa",
  rank: 2,
  alpha: 2,
  learningRate: 0.02,
  epochs: 5,
  batchSize: 8,
  maxLength: 16,
  seed: 1,
};

async function openModel(page: Page): Promise<void> {
  await page.fill("#address", `${pages.url}models/tiny/`);
  await page.click("#model-address button");
  await page.waitForSelector("#model-facts:not([hidden])");
}

async function openTable(page: Page, rowsOfEach = 20): Promise<void> {
  await page.setInputFiles("#data-file", table("mail.csv", spamCsv(rowsOfEach)));
  await page.waitForSelector("#training:not([hidden])");
}

async function fill(page: Page, { seed: _, method, ...numbers }: Settings): Promise<void> {
  await page.check(`input[value=${method}]`);
  await page.evaluate(() => document.querySelector("#settings details")!.setAttribute("open", ""));
  for (const [name, value] of Object.entries(numbers)) await page.fill(`#${name}`, String(value));
}

/** Clicks on a link that downloads, and returns what comes. */
async function downloaded(page: Page, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.click(`#downloads a[download="${name}"]`),
  ]);
  return new Uint8Array(await readFile(await download.path()));
}

async function modelBytes(): Promise<Record<string, Uint8Array<ArrayBuffer>>> {
  const names = ["config.json", "model.safetensors", "tokenizer.json"];
  const contents = names.map(async (name) =>
    [name, new Uint8Array(await readFile(join(pages.model, name)))] as const
  );
  return Object.fromEntries(await Promise.all(contents));
}

/** The same training in Node, by the trainer without a page. */
async function trainInNode() {
  const files = Object.fromEntries(
    Object.entries(await modelBytes()).map(([name, bytes]) => [name, new Blob([bytes])]),
  );
  const bench = new Workbench();
  const handlers = aloneHandlers(bench);
  const losses: number[] = [];
  const context = {
    signal: new AbortController().signal,
    report: (event: TrainingEvent) => event.type === "loss" && losses.push(event.loss),
  };
  const silent = { ...context, report: () => {} };
  await handlers.openModel({ files, name: "tiny" }, silent);
  await handlers.readTable(new File([spamCsv(20)], "mail.csv"), silent);
  await handlers.chooseColumns({ text: "text", label: "label" }, silent);
  const { peakBytes } = await handlers.forecast(settings, silent);
  const run = await handlers.train(settings, context);
  // What the page says beforehand is what it takes, and all of it is freed.
  const { gpu } = await bench.prepare();
  assert.equal(gpu.stats().peakBytes, peakBytes);
  const prediction = await handlers.predict({ run: run.id, text: "win a free prize" }, silent);
  const { peft } = await handlers.download({ run: run.id, base: "tiny" }, silent);
  return { run, losses, prediction, adapter: await openTar(new Uint8Array(await peft.arrayBuffer())) };
}

async function openTar(bytes: Uint8Array<ArrayBuffer>) {
  const entries = await unpackTar(bytes, { strip: 1 });
  const files = Object.fromEntries(entries.map(({ header, data }) => [header.name, new Uint8Array(data!)]));
  return await openPeftAdapter(memoryModelFiles(files));
}

async function floatsOf(adapter: OpenPeftAdapter, name: string): Promise<Float32Array> {
  return (await adapter.weights.read(name)).data as Float32Array;
}

/** Logits of a text by the two files of an adapter. */
async function openInNode({ adapter, own }: { readonly adapter: OpenPeftAdapter; readonly own: Uint8Array }) {
  using gpu = await openGpu();
  const files = memoryModelFiles(await modelBytes());
  const { encoder, family } = await openPretrained(gpu, files);
  const task = classification({ labels: ["ham", "spam"] });
  const pretrained = TaskModel.create(gpu, encoder, { task, seed: 1 });
  const set = task.prepare([task.ask("win a free prize")], await loadTokenizer(files), { maxLength: 16 });
  const { model: peft } = await importPeft(pretrained, adapter, { family });
  const logits = async (model: TaskModel) => (await modelOutputs(model, set)).outputs;
  return { peft: await logits(peft), own: await logits(await decodeAdapter(pretrained, own)) };
}

test("a page opens a model by its address and counts the classes of a CSV", { skip }, async () => {
  assert.deepEqual(await violations(page), []);
  const reached: (string | null)[] = [];
  for (let i = 0; i < 7; i++) {
    await page.keyboard.press("Tab");
    reached.push(
      await page.evaluate(() => document.activeElement!.id || document.activeElement!.textContent),
    );
  }
  assert.deepEqual(reached, [
    "federa",
    "On your own",
    "Together",
    "model-folder",
    "model-files",
    "address",
    "Open",
  ]);
  await openModel(page);
  const facts = await page.innerText("#model-facts");
  assert.match(facts, /BERT, 12 wide/);
  assert.match(facts, /32 tokens/);
  await openTable(page);
  assert.equal(await page.innerText("#table-summary"), "mail.csv: 40 rows, 2 columns. The first 5 are:");
  assert.deepEqual(await page.locator("#preview tbody tr").first().innerText(), "win a free prize 0\tspam");
  assert.deepEqual(
    (await page.locator("#class-counts tbody tr").allInnerTexts()).map((row) => row.replace(/\s+/g, " ")),
    ["ham 20", "spam 20"],
  );
  assert.match(
    await page.innerText("#split"),
    /^32 texts to train on\. A fifth of each class, 8 texts in all/,
  );
  assert.deepEqual(await violations(page), []);
});

test("a page trains, and its adapter is the one that the same training in Node gives", { skip }, async () => {
  await fill(page, settings);
  await waitForText(
    page,
    "#forecast",
    /^20 steps will train .* at most .* kB of the graphics processor's memory/,
  );
  await page.click("#train");
  await page.waitForSelector("#progress:not([hidden])");
  assert.deepEqual(await violations(page), []);
  await page.waitForSelector("#result:not([hidden])");
  assert.match(
    await page.innerText("#announcements"),
    /^Finished after 20 of 20 steps in .*; [\d.]+ % of the texts/,
  );
  await page.click("#plots summary");
  const rows = await page.locator("#plots tbody tr").allInnerTexts();
  const losses = rows.map((row) => row.split("\t")[1]!).filter((loss) => loss !== "").map(Number);
  await page.fill("#question", "win a free prize");
  await page.click("#ask button");
  await page.waitForSelector("#answer meter");
  const [label, share] = squeezed(await page.locator("#answer tbody tr").allInnerTexts())[0]!.split(" ");
  await page.click("#keep button");
  await page.waitForSelector("#downloads a");
  assert.deepEqual(await violations(page), []);
  const adapter = await openTar(await downloaded(page, "adapter.tar"));
  const own = await downloaded(page, "adapter.federa.safetensors");

  const node = await trainInNode();
  // Gradients of two layers of dot products of up to 20 terms around 1 are off by up to 20 · 2⁻²⁴ ≈ 1e-6 on either adapter. AdamW
  // divides each element's gradient by its own size, so that one of a thousandth moves by 0.02 · 1e-3 = 2e-5 too far a step: over 20 steps
  // by 4e-4 at most. Losses are as exact as that, and the page writes them to three decimals.
  const tolerance = { absolute: 4e-4 };
  const names = [...node.adapter.weights.entries.keys()];
  assert.deepEqual([...adapter.weights.entries.keys()], names);
  assert.equal(names.length, 26);
  for (const name of names) {
    const [found, expected] = await Promise.all([adapter, node.adapter].map((each) => floatsOf(each, name)));
    assertClose(found!, expected!, tolerance);
  }
  assert.equal(JSON.stringify(adapter.config), JSON.stringify(node.adapter.config));
  assertClose(losses, node.losses, { absolute: 4e-4 + 5e-4 });
  assert.ok(losses.at(-1)! < 0.75 * losses[0]!, `${losses}`);
  assert.equal(label, node.prediction.label);
  assertClose([Number.parseFloat(share!)], [100 * node.prediction.probabilities[label]!], { absolute: 0.1 });
  // What the page has written, read by this library: the logits of its PEFT files and of its own file agree.
  const loaded = await openInNode({ adapter, own });
  assertClose(loaded.peft, loaded.own, { absolute: 1e-5 });
  assert.ok(Math.abs(loaded.own[0]! - loaded.own[1]!) > 0.05);
});

test("a page stops training where it is told to, and what it has trained is of use", { skip }, async () => {
  await page.fill("#epochs", "1000");
  await page.click("#train");
  await waitForText(page, "#steps-label", /^Step \d+ of 4,000, about/);
  assert.ok(await page.evaluate(() => document.querySelector<HTMLElement>("#data")!.inert));
  await page.click("#cancel");
  await waitForText(page, "#announcements", /^Stopped after \d+ of 4000 steps/);
  const [, stopped] = squeezed(await page.locator("#run-table tbody tr").allInnerTexts());
  assert.match(
    stopped!,
    /^FeDeRA, rank 2, rate 0\.02 \d+ of 4,000 [\d.]+ s [\d.]+ %( \(step \d+\))? [\d.]+ %$/,
  );
  await page.click("#ask button");
  await page.waitForSelector("#answer meter");
  // The first run is still there.
  await page.check("input[name=run][value='1']");
  assert.match(await page.innerText("#chosen"), /as it is after 20 of 20 steps/);
  assert.deepEqual(await violations(page), []);
});

test("a page is as wide as a phone, and takes a file that is dropped on it", { skip }, async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  await page.setViewportSize({ width: 1000, height: 900 });
  const transfer = await page.evaluateHandle((csv) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([csv], "dropped.csv"));
    return transfer;
  }, spamCsv(20));
  await page.dispatchEvent("#data-drop", "drop", { dataTransfer: transfer });
  await waitForText(page, "#table-summary", /^dropped\.csv: 40 rows/);
  await page.waitForSelector("#training:not([hidden])");
});

test("a page says what is wrong with files that it can't use", { skip }, async () => {
  const page = await pages.open();
  const model = async (files: Readonly<Record<string, Uint8Array | string>>, problem: RegExp) => {
    const chosen = Object.entries(files).map(([name, content]) => ({
      name,
      mimeType: "application/octet-stream",
      buffer: Buffer.from(content),
    }));
    await page.setInputFiles("#model-files", chosen);
    await waitForText(page, "#model-problem", problem);
    assert.equal(await page.isVisible("#data"), false);
  };
  const own = async (name: string) => await readFile(join(pages.model, name));
  await model(
    { "notes.txt": "a" },
    /no config\.json among 1 files \(notes\.txt\); choose the folder that holds/,
  );
  const tokenizer = { "tokenizer.json": await own("tokenizer.json") };
  await model({ ...tokenizer, "config.json": "{" }, /config\.json/);
  const config = { ...tokenizer, "config.json": await own("config.json") };
  await model(config, /model\.safetensors/);
  const weights = (await own("model.safetensors")).subarray(0, -8);
  await model({ ...config, "model.safetensors": weights }, /Cannot read model\/model\.safetensors/);
  assert.deepEqual(await violations(page), []);
  const address = async (address: string, problem: RegExp) => {
    await page.fill("#address", address);
    await page.click("#model-address button");
    await waitForText(page, "#model-problem", problem);
  };
  await address(`${pages.url}models/none/`, /config\.json/);
  // The page's policy keeps it from asking anyone else.
  await address(
    "https://models.example/minilm",
    /Cannot fetch .* a page may not be allowed to read from there/,
  );

  await openModel(page);
  const file = async (name: string, content: string, place: string, problem: RegExp) => {
    await page.setInputFiles("#data-file", table(name, content));
    await waitForText(page, place, problem);
    assert.equal(await page.isVisible("#training"), false);
  };
  await file(
    "a.csv",
    "text,label\na,b\na,b,c\n",
    "#data-problem",
    /line 3 of a\.csv: expected 2 values, got 3/,
  );
  await file("a.csv", "text,label\n", "#data-problem", /Cannot use a\.csv: it has no rows/);
  await file("a.pdf", "%PDF", "#data-problem", /its extension names no format/);
  await file(
    "a.csv",
    "text,label\na,x\nb,x\n",
    "#columns-problem",
    /Cannot train on one class: every row of column label says "x"/,
  );
  await file(
    "a.csv",
    "text,label\na,\nb,\n",
    "#columns-problem",
    /none of 2 has a label, for example line 2 of a\.csv/,
  );
  await file("a.csv", "text\na\nb\n", "#columns-problem", /Cannot learn from column "text" alone/);
  await file(
    "a.csv",
    "text,label\na,x\nb,y\nc,z\n",
    "#columns-problem",
    /3 different values in 3 rows; choose the column/,
  );
  await file(
    "a.csv",
    "text,label\na,x\nb,y\nc,x\n",
    "#columns-problem",
    /expected at least three rows of some class/,
  );
  assert.deepEqual(await violations(page), []);
  await page.close();
});

test("a page without WebGPU says why and what to do", { skip }, async () => {
  const cases: [() => void, RegExp][] = [
    [
      () => Object.defineProperty(globalThis, "isSecureContext", { value: false }),
      /this one came over plain http from localhost:\d+\. Open it over https/,
    ],
    [
      () => Object.defineProperty(Navigator.prototype, "gpu", { value: undefined }),
      /This browser has no WebGPU.*Use Chrome or Edge 113/,
    ],
    [
      () => void Object.assign(GPU.prototype, { requestAdapter: async () => null }),
      /finds no graphics processor that it trusts\. Switch on hardware acceleration/,
    ],
  ];
  for (const [without, words] of cases) {
    const page = await pages.open("", (page) => page.addInitScript(without));
    assert.match(await page.innerText("#no-gpu"), words);
    assert.equal(await page.isVisible("#model"), false);
    await page.emulateMedia({ colorScheme: "dark" });
    assert.deepEqual(await violations(page), []);
    await page.close();
  }
});

test("a page whose workers lack WebGPU trains by itself, and survives a lost device and a lack of memory", {
  skip,
}, async () => {
  const page = await pages.open("", async (page) => {
    await page.route(
      "**/worker.js",
      (route) => route.fulfill({ contentType: "text/javascript", body: "postMessage({ hasGpu: false });" }),
    );
    await page.addInitScript(() => {
      const { requestDevice } = GPUAdapter.prototype;
      GPUAdapter.prototype.requestDevice = async function (...options) {
        const device = await requestDevice.apply(this, options);
        Object.assign(globalThis, { device });
        return device;
      };
    });
  });
  assert.match(await page.innerText("#place"), /no WebGPU in workers, so training runs in the page itself/);
  await openModel(page);
  await openTable(page);
  const train = async (sabotage: () => void, problem: RegExp) => {
    await fill(page, { ...settings, method: "lora", epochs: 1000 });
    await page.click("#train");
    await waitForText(page, "#announcements", /^Pass 2 of 1000/);
    await page.evaluate(sabotage);
    await waitForText(page, "#training-problem", problem);
  };
  await train(
    () => (globalThis as unknown as { device: GPUDevice }).device.destroy(),
    /Cannot use the GPU device: .*What was trained up to step \d+ is kept/,
  );
  // On a new device.
  await page.fill("#question", "win a free prize");
  await page.click("#ask button");
  await page.waitForSelector("#answer meter");
  await train(
    () =>
      void (globalThis as unknown as { device: GPUDevice }).device.dispatchEvent(
        new GPUUncapturedErrorEvent("uncapturederror", {
          error: new GPUOutOfMemoryError("a buffer too many"),
        }),
      ),
    /Cannot allocate GPU memory: a buffer too many.* Choose a smaller batch or shorter texts/,
  );
  const runs = squeezed(await page.locator("#run-table tbody tr").allInnerTexts());
  assert.equal(runs.length, 2);
  for (const run of runs) assert.match(run, /^LoRA, rank 2, rate 0\.02 \d+ of 4,000/);
  assert.deepEqual(await violations(page), []);
  await page.close();
});

test("pages ask nobody but the server that they came from", { skip }, () => {
  assert.ok(pages.requests.size > 10);
  const others = [...pages.requests].filter((url) => !url.startsWith(pages.url) && !url.startsWith("blob:"));
  assert.deepEqual(others, []);
});
