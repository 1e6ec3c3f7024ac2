import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { transformed } from "../../scripts/transform_cache.mjs";

const parent = await mkdtemp(join(tmpdir(), "federa-transform-"));
after(() => rm(parent, { recursive: true, force: true }));
const source = join(parent, "source.ts");
const folder = join(parent, "cache/inner");

test("transformed() keeps a file's JavaScript, and makes it anew where the source or what is kept has changed", async () => {
  await writeFile(source, "export const x: number = 1;\n");
  const first = await transformed(source, folder);
  assert.match(first, /^export const x = 1;\n\/\/# sourceMappingURL=data:/);
  const [name] = await readdir(folder) as [string];
  assert.equal(await readFile(join(folder, name), "utf8"), first);

  // What is kept is what is given: a mark that only the cache can have put there.
  await writeFile(join(folder, name), `/* kept */ ${first}`);
  assert.equal(await transformed(source, folder), `/* kept */ ${first}`);

  await writeFile(join(folder, name), first.slice(0, -1));
  assert.equal(await transformed(source, folder), first, "after a write that was cut off");

  await writeFile(source, "export const x: number = 2;\n");
  assert.match(await transformed(source, folder), /^export const x = 2;/);
  assert.deepEqual(await readdir(folder), [name], "one file for each source");
});

test("transformed() fails at what isn't TypeScript, and keeps nothing of it", async () => {
  const broken = join(parent, "broken.ts");
  await writeFile(broken, "const const = ;");
  await assert.rejects(transformed(broken, folder), /broken\.ts/);
  assert.equal((await readdir(folder)).length, 1);
});
