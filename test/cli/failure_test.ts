import assert from "node:assert/strict";
import { test } from "node:test";
import { describeFailure } from "../../src/cli/failure.ts";
import { ConfigError } from "../../src/cli/config/parse_config.ts";
import { classification } from "../../src/tasks/mod.ts";

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
    'Cannot tell classes apart: the label "a" is named twice',
  );
  const nothing = [] as { name: string }[];
  assert.match(failureOf(() => nothing[0]!.name), /^TypeError: Cannot read properties[^]* at /);
});
