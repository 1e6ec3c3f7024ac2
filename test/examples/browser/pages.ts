import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import axe from "axe-core";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { buildExample } from "../../../examples/browser/build.ts";
import {
  type ServedExample,
  serveExample,
  type ServeExampleOptions,
} from "../../../examples/browser/serve.ts";
import { setUpBrowser } from "../../../scripts/setup_browser.ts";
import { writeTinyCheckpoint } from "../../support/tiny_checkpoint.ts";

/** Path of the browser for the tests, or why there is none. */
export function findBrowser(): { readonly path: string } | { readonly reason: string } {
  try {
    return { path: setUpBrowser({ report: (line) => console.error(line) }) };
  } catch (error) {
    return { reason: (error as Error).message };
  }
}

/** The example's pages on a server, and a browser without a window to see them with. */
export interface Pages {
  /** Where the pages are; the model is in `models/` and the name of its folder, `tiny` by default. */
  readonly url: string;
  /** The model's folder. */
  readonly model: string;
  readonly context: BrowserContext;
  /** Addresses of all requests that pages and their workers have made, and of their web sockets. */
  readonly requests: Set<string>;
  /** Opens a page and waits until it answers; `prepare` runs before. Errors of its own are thrown by `close`. */
  open(path?: string, prepare?: (page: Page) => Promise<unknown>): Promise<Page>;
  /** @throws {Error} with what pages have thrown and nobody has caught. */
  close(): Promise<void>;
}

/** Options of {@linkcode openPages}. */
export interface OpenPagesOptions extends Omit<ServeExampleOptions, "models"> {
  /** Folder of a model to serve; by default that of a tiny checkpoint. */
  readonly model?: string | undefined;
}

/** Builds and serves the example, and starts a browser on a software adapter. */
export async function openPages(
  browser: string,
  { model: given, ...options }: OpenPagesOptions = {},
): Promise<Pages> {
  const folder = await mkdtemp(join(tmpdir(), "federa-example-"));
  const model = given ?? join(folder, "tiny");
  if (given === undefined) await writeTinyCheckpoint(model, { seed: 1 });
  await buildExample(join(folder, "pages"));
  const served: ServedExample = await serveExample(join(folder, "pages"), { ...options, models: [model] });
  const context = await chromium.launchPersistentContext(join(folder, "profile"), {
    executablePath: browser,
    viewport: { width: 1000, height: 900 },
    acceptDownloads: true,
    // Halfway through its appearance, text has too little contrast.
    reducedMotion: "reduce",
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
  const requests = new Set<string>();
  const errors: string[] = [];
  context.on("request", (request) => requests.add(request.url()));
  context.on("page", (page) => {
    page.on("pageerror", ({ message }) => errors.push(message));
    page.on("websocket", (socket) => requests.add(socket.url()));
  });
  return {
    url: served.url,
    model,
    context,
    requests,
    async open(path = "", prepare) {
      const page = await context.newPage();
      page.setDefaultTimeout(45_000);
      await prepare?.(page);
      await page.goto(`${served.url}${path}`);
      await page.waitForSelector("html[data-ready]");
      return page;
    },
    async close() {
      await context.close();
      await served.close();
      await rm(folder, { recursive: true, force: true });
      if (errors.length > 0) throw new Error(`Pages have thrown: ${errors.join("; ")}`);
    },
  };
}

/** What axe-core finds wrong with a page as it is, by rule and place. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import("axe-core") };
    const { violations } = await axe.run(document);
    return violations.map(({ id, nodes }) =>
      `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`
    );
  });
  return found;
}

/** Waits until an element of a page has a text that matches. */
export async function waitForText(page: Page, selector: string, pattern: RegExp): Promise<void> {
  const isThere = ([selector, pattern]: [string, RegExp]) =>
    pattern.test(document.querySelector(selector)?.textContent ?? "");
  try {
    await page.waitForFunction(isThere, [selector, pattern] as [string, RegExp]);
  } catch (cause) {
    throw new Error(
      `Cannot find ${pattern} in ${selector}: there is ${JSON.stringify(await page.textContent(selector))}`,
      { cause },
    );
  }
}

/** Texts of a page with single blanks. */
export function squeezed(texts: readonly string[]): string[] {
  return texts.map((text) => text.trim().replace(/\s+/g, " "));
}
