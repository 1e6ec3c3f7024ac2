import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { withFileLock } from "../../src/hub/file_lock.ts";
import { sleep } from "../../src/hub/hugging_face/retry.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "federa-lock-"));
});
after(() => rm(folder, { recursive: true }));

test("withFileLock() lets one run at a time, and leaves nothing", async () => {
  const path = join(folder, "deep", "a.lock");
  let running = 0;
  let runs = 0;
  await Promise.all(Array.from({ length: 8 }, () =>
    withFileLock(path, async () => {
      assert.equal(++running, 1);
      await sleep(5);
      running--;
      runs++;
    }, { interval: 2, patience: 1000 })));
  assert.equal(runs, 8);
  assert.deepEqual(await readdir(join(folder, "deep")), []);
});

test("withFileLock() gives the lock back when its step fails", async () => {
  const path = join(folder, "b.lock");
  await assert.rejects(withFileLock(path, () => Promise.reject(new Error("no"))), { message: "no" });
  assert.equal(await withFileLock(path, () => Promise.resolve(1)), 1);
});

test("withFileLock() takes over at once from a process of this machine that is gone", async () => {
  const path = join(folder, "c.lock");
  const { pid } = spawnSync(process.execPath, ["--version"]);
  await writeFile(path, `${hostname()} ${pid} 00`);
  const started = performance.now();
  assert.equal(await withFileLock(path, () => Promise.resolve(1)), 1);
  assert.ok(performance.now() - started < 5000);
});

test("withFileLock() takes over from elsewhere when nobody renews the lock, and not while somebody does", async () => {
  const path = join(folder, "d.lock");
  await writeFile(path, "another-machine 1 00");
  assert.equal(await withFileLock(path, () => Promise.resolve(1), { interval: 5, patience: 10 }), 1);
  // The holder renews ten times as often as the other gives up.
  let held = true;
  const holder = withFileLock(path, async () => {
    await sleep(600);
    held = false;
  }, { interval: 5, patience: 40 });
  await sleep(20);
  await withFileLock(path, () => Promise.resolve(assert.equal(held, false)), { interval: 5, patience: 40 });
  await holder;
});

test("withFileLock() leaves a lock that another has taken over", async () => {
  const path = join(folder, "e.lock");
  await withFileLock(path, () => writeFile(path, "another-machine 1 00"));
  assert.equal(await readFile(path, "utf8"), "another-machine 1 00");
});

test("withFileLock() stops waiting with the reason of its signal", async () => {
  const path = join(folder, "f.lock");
  await writeFile(path, `${hostname()} ${process.pid} 00`);
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error("enough")), 20);
  await assert.rejects(withFileLock(path, () => Promise.resolve(), { signal: controller.signal }), {
    message: "enough",
  });
  assert.equal(await readFile(path, "utf8"), `${hostname()} ${process.pid} 00`);
});
