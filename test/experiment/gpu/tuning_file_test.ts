import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { MatmulTile } from "../../../src/engine/mod.ts";
import { openTunedGpu } from "../../../src/experiment/gpu/open_tuned_gpu.ts";
import { readTuning, tuningPath, writeTuning } from "../../../src/experiment/gpu/tuning_file.ts";
import { CorruptFileError } from "../../../src/data/errors.ts";

const folder = await mkdtemp(join(tmpdir(), "federa-tuning-"));
const before = process.env["XDG_CACHE_HOME"];
process.env["XDG_CACHE_HOME"] = folder;
after(async () => {
  if (before === undefined) delete process.env["XDG_CACHE_HOME"];
  else process.env["XDG_CACHE_HOME"] = before;
  await rm(folder, { recursive: true });
});

const adapter = { vendor: "mesa", device: "llvmpipe", description: "one", class: "cpu" } as const;
const tiles = new Map<string, MatmulTile>([
  ["NT ab- m large n 512 single", { rows: 16, columns: 24 }],
  ["NN ab- m large n 512 single", { rows: 64, columns: 64, depth: 16, width: 4, slices: 2 }],
]);

test("readTuning() gives what writeTuning() kept, for the same adapter alone", async () => {
  assert.equal((await readTuning(adapter)).size, 0);
  const path = await writeTuning(adapter, tiles);
  assert.equal(path, tuningPath(adapter));
  assert.ok(path.startsWith(folder));
  assert.deepEqual(await readTuning(adapter), tiles);
  assert.equal((await readTuning({ ...adapter, description: "another" })).size, 0);
});

test("readTuning() names a file that it can't read, and what to do", async () => {
  const path = await writeTuning(adapter, tiles);
  const valid = JSON.parse(await readFile(path, "utf8")) as object;
  const changed = (change: object) => JSON.stringify({ ...valid, ...change });
  const contents = [
    "",
    "{",
    "[]",
    '{"tiles":{"x":{"rows":-1,"columns":8}}}',
    changed({ tiles: { x: { rows: 1024, columns: 1024 } } }),
    changed({ tiles: { x: { rows: 16, columns: 24, depth: 16, width: 4, slices: 2 } } }),
    changed({ tiles: "none" }),
    changed({ adapter: "another" }),
    " ".repeat(2 ** 21),
  ];
  for (const content of contents) {
    await writeFile(path, content);
    await assert.rejects(readTuning(adapter), (error) => {
      assert.ok(error instanceof CorruptFileError);
      assert.match(error.message, /delete the file or tune again/);
      return true;
    });
  }
});

test("openTunedGpu() goes on without a tuning that it can't read, and says so", async () => {
  const lines: string[] = [];
  const reporter = { line: (text: string) => void lines.push(text), progress() {}, endProgress() {} };
  const gpu = await openTunedGpu(reporter);
  gpu.close();
  await writeTuning(gpu.adapter, new Map());
  await writeFile(tuningPath(gpu.adapter), "{");
  (await openTunedGpu(reporter)).close();
  await rm(tuningPath(gpu.adapter));
  await mkdir(tuningPath(gpu.adapter));
  (await openTunedGpu(reporter)).close();
  assert.equal(lines.length, 5);
  assert.match(
    lines[1]!,
    /^Cannot read the tuning in .*\.json: it isn't what federa tune writes; .*; continuing without it$/,
  );
  assert.match(
    lines[3]!,
    /^Cannot read the tuning in .*\.json: it is not a file; .*; continuing without it$/,
  );
  for (const line of [lines[0]!, lines[2]!, lines[4]!]) assert.match(line, /^Adapter: [^,]*$/);
});
