import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { withoutNats } from "../../support/nats_server.ts";
import { openFederation, type TestFederation } from "./federation.ts";
import { findBrowser, violations, waitForText } from "./pages.ts";

const browser = findBrowser();
const skip = "reason" in browser ? browser.reason : await withoutNats();
let federation: TestFederation;
/** The pages of two participants. */
let ada: Page;
let bob: Page;

before(async () => {
  if (skip !== false || !("path" in browser)) return;
  federation = await openFederation(browser.path);
  const open = (name: string) =>
    federation.pages.open(`together.html?${new URLSearchParams({ server: federation.server, name })}`);
  [ada, bob] = await Promise.all([open("ada"), open("bob")]);
});
after(() => federation?.close());

/** Opens the page of a participant. */
function open(name: string, prepare?: (page: Page) => Promise<unknown>): Promise<Page> {
  const query = new URLSearchParams({ server: federation.server, name });
  return federation.pages.open(`together.html?${query}`, prepare);
}

test("a federation goes on when a tab is closed and when a person leaves", { skip }, async () => {
  const settings = federation.settings("mail", { silenceSeconds: 15, sharesModel: false });
  const left: string[] = [];
  const hosting = federation.host(settings, {
    onNews: (news) =>
      news.type === "participant-left" && left.push(`${news.participant.name}: ${news.reason}`),
    async onRound(round) {
      if (round === 1) await ada.close();
      if (round !== 2) return;
      await bob.click("#leave");
      await waitForText(bob, "#part-status", /^You have left; the federation goes on without you/);
    },
  });
  await Promise.all([federation.getReady(ada, "ada", "mail"), federation.getReady(bob, "bob", "mail")]);
  const cyd = federation.join("cyd", "mail");
  await Promise.all([ada, bob].map((page) => page.click("#join")));
  const { arrived } = await hosting;
  await cyd;
  assert.deepEqual(arrived, [3, 2, 1]);
  assert.deepEqual(left, ["ada: it left", "bob: it left"]);
  assert.deepEqual(await violations(bob), []);
});

test(
  "a page whose device is lost tells the host why, and comes back on a new one, also after it was loaded again",
  { skip },
  async () => {
    const settings = federation.settings("again", { participants: 2, rounds: 5, silenceSeconds: 30 });
    const lost: string[] = [];
    const page = await open("eve", async (page) => {
      page.on("dialog", (dialog) => void dialog.accept());
      // In the page itself, where its device can be got at.
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
    const hosting = federation.host(settings, {
      onLost: (reason) => void lost.push(reason),
      async onRound(round) {
        if (round === 1) {
          await page.evaluate(() => (globalThis as unknown as { device: GPUDevice }).device.destroy());
        }
        if (round === 2) {
          await waitForText(page, "#part-problem", /Cannot use the GPU device/);
          await page.click("#join");
          await waitForText(page, "#part-status", /^You are back in the federation/);
        }
        if (round === 4) {
          await page.reload();
          await page.waitForSelector("html[data-ready]");
          await federation.getReady(page, "ada", "again");
          await page.click("#join");
          await waitForText(page, "#part-status", /^You are back in the federation/);
        }
      },
    });
    await federation.getReady(page, "ada", "again");
    const cyd = federation.join("cyd", "again");
    await page.click("#join");
    const { arrived } = await hosting;
    await cyd;
    await waitForText(page, "#part-status", /^The federation has finished/);
    assert.deepEqual(arrived, [2, 1, 2, 2, 2]);
    assert.equal(lost.length, 1);
    assert.match(lost[0]!, /Cannot use the GPU device/);
  },
);
