import assert from "node:assert/strict";
import { readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { folderStore } from "../../../../src/network/mod.ts";
import { temporaryFolder } from "../../../support/temporary_files.ts";

test("folderStore() gives back what was written last, by the run's number", async () => {
  const folder = join(temporaryFolder(), "runs");
  const store = folderStore(folder);
  const run = 2n ** 64n - 1n;
  assert.equal(await store.read(run), undefined);
  await store.write(run, { identity: "{}" });
  assert.deepEqual(await store.read(run), { identity: "{}", start: undefined, participant: undefined });
  const saved = {
    identity: '{"é":1}',
    start: Uint8Array.of(1, 2),
    participant: new Uint8Array(1000).fill(7),
  };
  await store.write(run, saved);
  const found = await folderStore(folder).read(run);
  assert.deepEqual({ ...found, start: [...found!.start!], participant: found!.participant!.length }, {
    ...saved,
    start: [1, 2],
    participant: 1000,
  });
  assert.equal(await store.read(7n), undefined);
  if (process.platform !== "win32") assert.equal((await stat(folder)).mode & 0o777, 0o700);
});

test("folderStore() keeps the newest runs and refuses a broken file by its name", async () => {
  const folder = temporaryFolder();
  const store = folderStore(folder);
  for (let run = 1; run <= 6; run++) {
    await store.write(BigInt(run), { identity: `${run}` });
    const file = join(folder, `${run}.run.safetensors`);
    await utimes(file, run, run);
  }
  await store.write(7n, { identity: "7" });
  assert.deepEqual((await readdir(folder)).map((name) => name[0]).sort(), ["4", "5", "6", "7"]);
  const file = join(folder, "7.run.safetensors");
  const bytes = await readFile(file);
  await writeFile(file, bytes.subarray(0, bytes.length - 1));
  await writeFile(
    join(folder, "5.run.safetensors"),
    Buffer.concat([Buffer.of(2, 0, 0, 0, 0, 0, 0, 0), Buffer.from("{}")]),
  );
  await assert.rejects(store.read(5n), {
    name: "CorruptFileError",
    message: /5\.run\.safetensors: .*begin anew/,
  });
  await store.write(7n, { identity: "again" });
  assert.equal((await store.read(7n))?.identity, "again");
});
