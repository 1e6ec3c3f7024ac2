import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
import { openPages } from "../test/examples/browser/pages.ts";
import { setUpBrowser } from "./setup_browser.ts";

/** Longest wait for a run, in milliseconds. */
const PATIENCE = 3_600_000;

/**
 * Trains a real model in a real browser, by the page's own controls, and prints how long it took and how good it is.
 *
 * Usage: `npm run prove:browser MODEL DATA -- [--epochs 3] [--batch 16] [--rate 0.001] [--length 32] [--text "…"] [--shots FOLDER]`,
 * MODEL being a folder and DATA a CSV or JSONL file whose columns are text and label.
 */
async function prove(): Promise<void> {
  const { values, positionals: [model, data] } = parseArgs({
    allowPositionals: true,
    options: {
      epochs: { type: "string", default: "3" },
      batch: { type: "string", default: "16" },
      rate: { type: "string", default: "0.001" },
      length: { type: "string", default: "32" },
      text: { type: "string" },
      shots: { type: "string" },
    },
  });
  if (model === undefined || data === undefined) {
    throw new Error("Cannot prove anything: expected MODEL and DATA");
  }
  const pages = await openPages(setUpBrowser(), { model });
  try {
    const page = await pages.open();
    page.setDefaultTimeout(PATIENCE);
    const shoot = (name: string) => shootIn(page, values.shots, name);
    await page.fill("#address", `${pages.url}models/${basename(model)}/`);
    const opened = performance.now();
    await page.click("#model-address button");
    await page.waitForSelector("#model-facts:not([hidden])");
    console.log(`${(await page.innerText("#model-facts")).replaceAll("\n", " ")}`);
    console.log(`opened in ${((performance.now() - opened) / 1000).toFixed(1)} s`);
    const buffer = await readFile(data);
    await page.setInputFiles("#data-file", { name: basename(data), mimeType: "text/csv", buffer });
    await page.waitForSelector("#training:not([hidden])");
    await page.evaluate(() => document.querySelector("#settings details")!.setAttribute("open", ""));
    const { epochs, batch: batchSize, rate: learningRate, length: maxLength } = values;
    for (const [id, value] of Object.entries({ epochs, batchSize, learningRate, maxLength })) {
      await page.fill(`#${id}`, value);
    }
    await page.waitForFunction(() => /memory/.test(document.querySelector("#forecast")!.textContent!));
    console.log(`${await page.innerText("#split")}\n${await page.innerText("#forecast")}`);
    await page.click("#train");
    await page.waitForFunction(() =>
      /^Step [3-9]/.test(document.querySelector("#steps-label")!.textContent!)
    );
    await shoot("training");
    await page.waitForSelector("#result:not([hidden])");
    await page.click("#plots summary");
    console.log(await page.innerText("#plots table"));
    console.log(await page.innerText("#announcements"));
    if (values.text !== undefined) {
      await page.fill("#question", values.text);
      await page.click("#ask button");
      await page.waitForSelector("#answer meter");
      console.log(`${values.text}: ${(await page.innerText("#answer")).replace(/\s+/g, " ")}`);
    }
    await page.click("#keep button");
    await page.waitForSelector("#downloads a");
    console.log(await page.innerText("#downloads"));
    await shoot("done");
  } finally {
    await pages.close();
  }
}

/** Takes a picture of a page, light and dark, where somebody wants one. */
async function shootIn(page: Page, folder: string | undefined, name: string): Promise<void> {
  if (folder === undefined) return;
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: join(folder, `${name}_${colorScheme}.png`), fullPage: true });
  }
}

await prove();
process.exit(0);
