import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { NodeLock } from "../../../../src/network/flower/client/node_lock.ts";
import { temporaryFolder } from "../../../support/temporary_files.ts";

const folder = temporaryFolder();
const place = { superlink: "http://127.0.0.1:8000", nodeId: 2n ** 63n + 5n };

test("NodeLock.take() is refused while a live process has the lock", async () => {
  const path = join(folder, "live.key");
  const lock = await NodeLock.take(path);
  assert.equal(lock.previous, undefined);
  await assert.rejects(NodeLock.take(path), {
    name: "NodeKeyError",
    message: new RegExp(`process ${process.pid} is a node`),
  });
  await lock.note(place);
  await assert.rejects(NodeLock.take(path), { name: "NodeKeyError" });
  assert.equal((await stat(`${path}.lock`)).mode & 0o777, 0o600);
  await lock.release(true);
  assert.equal(existsSync(`${path}.lock`), false);
  await (await NodeLock.take(path)).release(true);
});

test("NodeLock.take() says what a process was that is no more", async () => {
  const path = join(folder, "dead.key");
  const lock = await NodeLock.take(path);
  await lock.note(place);
  const text = JSON.parse(await readFile(`${path}.lock`, "utf8"));
  const { pid } = spawnSync(process.execPath, ["--version"]);
  await writeFile(`${path}.lock`, JSON.stringify({ ...text, pid }));
  assert.deepEqual((await NodeLock.take(path)).previous, place);
});

test("NodeLock.take() knows a process from another one that has its number", {
  skip: !existsSync("/proc/self/stat") && "no /proc",
}, async () => {
  const path = join(folder, "number.key");
  await (await NodeLock.take(path)).note(place);
  const text = JSON.parse(await readFile(`${path}.lock`, "utf8"));
  await writeFile(`${path}.lock`, JSON.stringify({ ...text, started: "1" }));
  assert.deepEqual((await NodeLock.take(path)).previous, place);
});

test("NodeLock.take() gives a lock to one of many that ask at once", async () => {
  const path = join(folder, "race.key");
  const taken = await Promise.allSettled(Array.from({ length: 8 }, () => NodeLock.take(path)));
  assert.equal(taken.filter(({ status }) => status === "fulfilled").length, 1);
});

test("NodeLock.take() keeps the place of a process of which the server could not be told", async () => {
  const path = join(folder, "untold.key");
  const lock = await NodeLock.take(path);
  await lock.note(place);
  await lock.release(false);
  const next = await NodeLock.take(path);
  assert.deepEqual(next.previous, place);
  // It ends before it could tell the server itself.
  await next.release(false);
  assert.deepEqual((await NodeLock.take(path)).previous, place);
});

test("NodeLock.take() refuses a file that isn't its own", async () => {
  const path = join(folder, "foreign.key");
  await writeFile(`${path}.lock`, "mine");
  await assert.rejects(NodeLock.take(path), {
    name: "NodeKeyError",
    message:
      `Cannot read the lock ${path}.lock: expected what a node has written; delete it if no node uses the key`,
  });
});
