import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";
import { nodeStubs } from "../../scripts/node_stubs.ts";

const MODULE = `import { readFile } from "node:fs/promises";
import os, * as all from "os";
import { Writable } from "node:stream";
import { promisify } from "node:util";
import { Buffer } from "node:buffer";
import { join, posix, sep } from "node:path";
import process from "node:process";
class Sink extends Writable {}
const kept = [promisify, join];
export const calls = [
  () => readFile("a"),
  () => os.homedir(),
  () => all.tmpdir(),
  () => new Sink(),
  () => Buffer.from("a"),
  () => posix.join("a", "b"),
  () => "a/b".split(sep),
  () => process.env["HOME"],
  () => process.platform === "win32",
  () => process.cwd(),
  () => kept[0](kept[1]),
];
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
  const failures = [
    "call readFile of Node's fs/promises",
    "call homedir of Node's os",
    "call tmpdir of Node's os",
    "call Writable of Node's stream",
    "use Buffer.from of Node's buffer",
    "use posix.join of Node's path",
    "use sep of Node's path",
    "use env of Node's process",
    "use platform of Node's process",
    "use cwd of Node's process",
    "call promisify of Node's util",
  ];
  assert.equal(calls.length, failures.length);
  for (const [i, call] of calls.entries()) {
    const message = `Cannot ${failures[i]} module: it exists in Node alone`;
    assert.throws(call, { name: "Error", message });
  }
});
