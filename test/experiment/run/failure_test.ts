import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "../../support/installed_package.ts";
import { describeFailure } from "../../../src/experiment/run/failure.ts";
import { ConfigError } from "../../../src/experiment/config/parse_config.ts";
import { classification } from "../../../src/tasks/mod.ts";

function failureOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return describeFailure(error);
  }
  return assert.fail("it should have failed");
}

test("describeFailure() tells what a person can mend by its message, and faults of the program with their place", () => {
  assert.equal(describeFailure(new ConfigError("Cannot use it")), "Cannot use it");
  assert.equal(
    failureOf(() => classification({ labels: ["a", "a"] })),
    'Cannot number labels: "a" is named twice',
  );
  const nothing = [] as { name: string }[];
  assert.match(failureOf(() => nothing[0]!.name), /^TypeError: Cannot read properties[^]* at /);
});

test("describeFailure() tells what the system and JavaScript's limits refuse in one line", () => {
  assert.match(
    failureOf(() => readFileSync("/nowhere/at/all")),
    /^Cannot continue: ENOENT: no such file or directory, open '\/nowhere\/at\/all'$/,
  );
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), {
    code: "ENOSPC",
    syscall: "write",
  });
  assert.equal(
    describeFailure(full),
    "Cannot continue: ENOSPC: no space left on device, write; free some space",
  );
  assert.match(failureOf(() => readFileSync("a\0b")), /^Cannot use a path with a NUL character: .*$/);
  for (const size of [2 ** 53 - 1, -1]) {
    assert.match(
      failureOf(() => new Float32Array(size)),
      /^Cannot allocate enough memory \(.*\): use less data.*$/,
    );
  }
  assert.match(
    failureOf(() => Buffer.alloc(2 ** 29).toString("latin1")),
    /^Cannot read a file of this size at once: .*$/,
  );
});

test("errors for people are of one class", () => {
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(join(root, "src", name), "utf8"));
  const roots = sources.flatMap((text) =>
    [...text.matchAll(/class (\w+) extends Error\b/g)].map(([, name]) => name)
  );
  // The interruption of a command, work that nobody waits for, and what is tried again reach nobody.
  assert.deepEqual(roots.sort(), [
    "Abandoned",
    "FederaError",
    "InterruptedError",
    "PassingFailure",
    "StaleConnection",
  ]);
});
