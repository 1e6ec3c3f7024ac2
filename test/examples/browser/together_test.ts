import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { assertClose } from "../../support/compare.ts";
import { withoutNats } from "../../support/nats_server.ts";
import { openFederation, type TestFederation } from "./federation.ts";
import { findBrowser, squeezed, violations, waitForText } from "./pages.ts";

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

test("two pages and a participant in Node train what a simulation does", { skip }, async () => {
  const settings = federation.settings("mail");
  const hosting = federation.host(settings);
  await Promise.all([federation.getReady(ada, "ada", "mail"), federation.getReady(bob, "bob", "mail")]);
  const facts = await ada.innerText("#invitation-facts");
  for (const fact of ["the tests", "ham, spam", "federa, rank 2", "3, of 2 passes over your texts"]) {
    assert.ok(facts.includes(fact), facts);
  }
  assert.match(await ada.innerText("#agreement"), /3 rounds on 16 texts of yours, which stay here/);
  assert.deepEqual(await violations(ada), []);
  const cyd = federation.join("cyd", "mail");
  await Promise.all([ada, bob].map((page) => page.click("#join")));
  const { arrived, losses, values } = await hosting;
  await cyd;
  await Promise.all(
    [ada, bob].map((page) => waitForText(page, "#part-status", /^The federation has finished/)),
  );
  assert.deepEqual(arrived, [3, 3, 3]);
  // As in a federation in Node, but on two adapters: dot products of up to 20 terms around 1 are off by up to 20 · 2⁻²⁴, and 36 steps of
  // 0.3 at gradients below 1 add up to 36 · 0.3 · 1.2e-6 ≈ 1.3e-5 where they don't cancel.
  const tolerance = { absolute: 2e-5 };
  const expected = await federation.simulate(settings);
  assertClose(losses, expected.losses, tolerance);
  assert.deepEqual([...values.keys()].sort(), [...expected.values.keys()].sort());
  let moved = 0;
  for (const [name, value] of expected.values) {
    assertClose(values.get(name)!, value, tolerance);
    const start = expected.start.get(name)!;
    moved = Math.max(moved, ...value.map((each, i) => Math.abs(each - start[i]!)));
  }
  assert.ok(moved > 0.05, `${moved}`);
  // Payloads of the 24 factors and the head of 2 · 12 + 2 values, in f32, are what the page says, to the byte.
  const rows = squeezed(await ada.locator("#round-table tbody tr").allInnerTexts());
  assert.equal(rows.length, 3);
  for (const [i, row] of rows.entries()) {
    assert.match(row, new RegExp(`^${i + 1} 5,464 bytes 5,464 bytes 0\\.\\d{3} [\\d.]+ %$`));
  }
  assert.deepEqual(squeezed([await ada.innerText("#traffic")]), ["Sent 16.4 kB Received 16.4 kB"]);
  // What the host shares is of use in the page.
  await ada.fill("#question", "win a free prize");
  await ada.click("#ask button");
  await ada.waitForSelector("#answer meter");
  assert.deepEqual(await violations(ada), []);
});

test("a page says why it can't join", { skip }, async () => {
  const page = bob;
  const read = async (fields: Readonly<Record<string, string>>, problem: RegExp) => {
    for (const [id, value] of Object.entries(fields)) await page.fill(`#${id}`, value);
    await page.click("#read");
    await waitForText(page, "#invitation-problem", problem);
    assert.equal(await page.isVisible("#model"), false);
  };
  await read(
    { server: "nats://127.0.0.1:4222" },
    /a page reaches NATS by WebSocket, expected ws:\/\/ or wss:/,
  );
  // The page's policy allows the server of the tests alone.
  await read(
    { server: "ws://127.0.0.1:1" },
    /Cannot connect to NATS at ws:\/\/127\.0\.0\.1:1: .* lets it talk to ws:\/\/127\.0\.0\.1:1 \(--allow\)/,
  );
  await page.fill("#server", federation.server);
  await page.fill("#federation-name", "nowhere");
  await page.click("#read");
  await waitForText(page, "#reach", /The host doesn't answer yet/);
  await page.click("#read-cancel");
  await page.waitForSelector("#read:not([disabled])");
  assert.deepEqual(await violations(page), []);
});

test("pages talk to their own server and to the NATS server alone", { skip }, () => {
  const own = [federation.pages.url, `${federation.server}/`, "blob:"];
  assert.deepEqual(
    [...federation.pages.requests].filter((url) => !own.some((each) => url.startsWith(each))),
    [],
  );
});
