import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";
import { nodeStubs } from "../../scripts/node_stubs.ts";

const MODULE = `import { readFile } from "node:fs/promises";
import os, * as all from "os";
import { Writable } from "node:stream";
import { promisify } from "node:util";
class Sink extends Writable {}
promisify;
export const calls = [() => readFile("a"), () => os.homedir(), () => all.tmpdir(), () => new Sink()];
export const answer = 42;`;

test("nodeStubs() leaves a bundle that loads without Node and throws where Node is called", async () => {
  const { outputFiles: [output] } = await build({
    stdin: { contents: MODULE },
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    plugins: [nodeStubs],
  });
  assert.ok(output !== undefined);
  assert.doesNotMatch(output.text, /^import|\brequire\(/m);
  const url = `data:text/javascript,${encodeURIComponent(output.text)}`;
  const { calls, answer } = await import(url) as { calls: (() => unknown)[]; answer: number };
  assert.equal(answer, 42);
  const names = [
    "readFile of Node's fs/promises",
    "homedir of Node's os",
    "tmpdir of Node's os",
    "Writable of Node's",
  ];
  for (const [i, call] of calls.entries()) assert.throws(call, new RegExp(`Cannot call ${names[i]}`));
});
