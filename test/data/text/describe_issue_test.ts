import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { describeIssue } from "../../../src/data/text/describe_issue.ts";
import { parsePeftConfig } from "../../../src/federa/peft/config.ts";

const message = (schema: z.ZodType, value: unknown) =>
  schema.safeParse(value, { error: (issue) => describeIssue(issue) }).error?.issues[0]?.message;

test("describeIssue() says what was expected and what was found", () => {
  assert.equal(message(z.number(), "8"), 'expected a number, got "8"');
  assert.equal(message(z.boolean(), null), "expected true or false, got null");
  assert.equal(message(z.int().positive(), 0), "expected more than 0, got 0");
  assert.equal(message(z.int().max(5), 6), "expected at most 5, got 6");
  assert.equal(message(z.string().min(1), ""), 'expected at least 1 character, got ""');
  assert.equal(message(z.array(z.int()).min(2), [1]), "expected at least 2 entries, got [1]");
  assert.equal(message(z.union([z.string(), z.array(z.string())]), 5), "expected text or a list, got 5");
  assert.equal(message(z.string(), 5), "expected text, got 5");
});

test("parsePeftConfig() describes wrong fields in the same words", () => {
  assert.throws(() => parsePeftConfig({ peft_type: "LORA", r: "8", target_modules: 5 }), {
    message: "Cannot load an adapter by its adapter_config.json:\n" +
      '  r: expected a number, got "8"\n  target_modules: expected text or a list, got 5',
  });
});
