import assert from "node:assert/strict";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { setUpNats, versionOf } from "../../scripts/setup_nats.ts";
import { temporaryFolder } from "../support/temporary_files.ts";

test("setUpNats() takes the program that NATS_SERVER_PATH names, if it is recent enough", async () => {
  const folder = temporaryFolder();
  const program = async (name: string, version: string) => {
    const path = join(folder, name);
    await writeFile(path, `#!/bin/sh\necho "nats-server: v${version}"\n`);
    await chmod(path, 0o755);
    return path;
  };
  const before = process.env["NATS_SERVER_PATH"];
  try {
    const recent = await program("recent", "2.9.10");
    process.env["NATS_SERVER_PATH"] = recent;
    assert.equal(versionOf(recent), "2.9.10");
    assert.equal(await setUpNats(), recent);
    process.env["NATS_SERVER_PATH"] = await program("old", "2.8.4");
    await assert.rejects(setUpNats(), /NATS_SERVER_PATH names ".*old", which is of release 2.8.4/);
    process.env["NATS_SERVER_PATH"] = join(folder, "missing");
    await assert.rejects(setUpNats(), /which isn't a nats-server that runs here/);
  } finally {
    if (before === undefined) delete process.env["NATS_SERVER_PATH"];
    else process.env["NATS_SERVER_PATH"] = before;
  }
});

test("setUpNats() says what to do where it finds no server and no way to get one", async () => {
  const [path, named] = [process.env["PATH"], process.env["NATS_SERVER_PATH"]];
  try {
    delete process.env["NATS_SERVER_PATH"];
    process.env["PATH"] = temporaryFolder();
    const cache = temporaryFolder();
    const lines: string[] = [];
    const found = await setUpNats({ cache, report: (line) => lines.push(line) }).catch((error: Error) =>
      error.message
    );
    // A server in /usr/sbin is found whatever the path is.
    if (!found.startsWith("/usr")) assert.match(found, /^Cannot find nats-server: install it \(Debian/);
    assert.deepEqual(lines, []);
  } finally {
    process.env["PATH"] = path;
    if (named !== undefined) process.env["NATS_SERVER_PATH"] = named;
  }
});
