import assert from "node:assert/strict";
import { exec, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { promisify } from "node:util";
import { root } from "../support/installed_package.ts";
import { readmeBlocks } from "../support/readme.ts";
import { temporaryFolder } from "../support/temporary_files.ts";
import { writeTinyCheckpoint } from "../support/tiny_checkpoint.ts";

/** A port that nobody had a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

/** Starts a command of the page in a group of its own, and returns what it has said up to a line that matches. */
async function started(command: string, line: RegExp) {
  const child = spawn(command, {
    shell: true,
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  await new Promise<void>((resolve, reject) => {
    child.stdout!.setEncoding("utf8").on("data", (text: string) => line.test(said += text) && resolve());
    child.once(
      "exit",
      (code) => line.test(said) ? resolve() : reject(new Error(`${command} ended with ${code}: ${said}`)),
    );
  });
  return {
    said,
    async stop() {
      const ended = once(child, "exit");
      process.kill(-child.pid!, "SIGINT");
      await ended;
    },
  };
}

test("the commands of docs/browser.md build the pages and serve them to this machine", async () => {
  const commands = (await readmeBlocks("docs/browser.md")).filter(({ language }) => language === "sh")
    .map(({ code }) => code.trim());
  assert.equal(commands.length, 3);
  const [serve, build, allow] = commands as [string, string, string];
  assert.ok(allow.startsWith(serve) && allow.endsWith("-- --allow ws://127.0.0.1:8090"));
  const folder = temporaryFolder();
  const www = join(folder, "www");
  await promisify(exec)(build.replace(/ www$/, ` ${www}`), { cwd: root });
  const files = await readdir(www);
  for (
    const name of [
      "index.html",
      "together.html",
      "style.css",
      "icon.svg",
      "alone.js",
      "together.js",
      "worker.js",
    ]
  ) {
    assert.ok(files.includes(name), name);
  }

  await writeTinyCheckpoint(join(folder, "tiny"), { seed: 1 });
  const port = await freePort();
  const served = await started(`${allow} --port ${port} --model ${join(folder, "tiny")}`, /a model: .*\n/);
  try {
    assert.match(served.said, new RegExp(`Serving http://localhost:${port}/ to this machine`));
    const url = `http://localhost:${port}/`;
    const page = await fetch(url);
    assert.equal(
      page.headers.get("content-security-policy"),
      "default-src 'self'; connect-src 'self' ws://127.0.0.1:8090; object-src 'none'; base-uri 'none'; form-action 'none'; " +
        "frame-ancestors 'none'",
    );
    const html = await page.text();
    // Nothing of the pages is inline or from elsewhere, and no part is left out.
    assert.doesNotMatch(html, /<style|<script>|style="|<!--|\{number\}|(src|href)="https?:/);
    for (const id of ["model", "data", "training", "result"]) assert.ok(html.includes(`<section id="${id}"`));
    const config = await fetch(`${url}models/tiny/config.json`);
    assert.equal((await config.json() as { model_type: string }).model_type, "bert");
    for (
      const path of [
        "models/tiny/../../secret",
        "models/tiny/%2e%2e/%2e%2e/etc/passwd",
        "models/other/config.json",
        "%2e%2e/package.json",
      ]
    ) {
      const answer = await fetch(`${url}${path}`);
      assert.equal(answer.status, 404, path);
      await answer.text();
    }
  } finally {
    await served.stop();
  }
});
