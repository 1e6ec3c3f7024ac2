import assert from "node:assert/strict";
import { test } from "node:test";
import { loadSpamAssassin, mailExamples } from "../../src/hub/spam_assassin.ts";
import { fetchOrSkip } from "./fetch_or_skip.ts";

test("mailExamples() labels by group and drops repeated bodies", async () => {
  const mails = new Map(
    Object.entries({
      "data/spam-2/2.txt": "Subject: C\n\nbuy\nnow",
      "data/spam-2/1.txt": "Subject: B\n\nbuy  now",
      "data/easy-ham-1/1.txt": "X-Other: header\nSubject: A\n\nhello",
      "data/hard-ham-1/1.txt": "Subject: empty\n\n",
      "data/hard-ham-1/2.txt": "Subject: empty\n\n  ",
      "data/hard-ham-1/3.txt": "Subject: void\n\n",
    }).map(([path, text]) => [path, new TextEncoder().encode(text)] as const),
  );
  const counts: number[] = [];
  const examples = await mailExamples(mails, (numParsed, numMails) => counts.push(numParsed, numMails));
  assert.deepEqual(examples, [
    { text: "A hello", label: "ham", key: "easy-ham-1" },
    { text: "empty", label: "ham", key: "hard-ham-1" },
    { text: "void", label: "ham", key: "hard-ham-1" },
    { text: "B buy now", label: "spam", key: "spam-2" },
  ]);
  assert.deepEqual(counts, [1, 6, 2, 6, 3, 6, 4, 6, 5, 6, 6, 6]);
});

test("loadSpamAssassin() gives the corpus without repeats, and again from its cached texts", async (t) => {
  const mails = await fetchOrSkip(t, () => loadSpamAssassin());
  if (!mails) return;
  const byGroup: Record<string, number> = {};
  for (const { key } of mails) byGroup[key!] = (byGroup[key!] ?? 0) + 1;
  // Of 2,500, 1,400, 250, 500 and 1,396 mails.
  assert.deepEqual(byGroup, {
    "easy-ham-1": 2472,
    "easy-ham-2": 1388,
    "hard-ham-1": 239,
    "spam-1": 443,
    "spam-2": 1199,
  });
  assert.equal(mails.filter(({ label }) => label === "spam").length, 1642);
  assert(mails.every(({ text }) => text !== "" && !/\s\s|[\n\t]/.test(text)));
  assert.match(mails[0]!.text, /^Re: New Sequences Window Date: Wed, 21 Aug 2002 10:54:46 -0500 From: Chris/);
  const started = performance.now();
  assert.deepEqual(await loadSpamAssassin(), mails);
  const seconds = (performance.now() - started) / 1000;
  assert(seconds < 3, `took ${seconds} s`);
});
