import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nearestPattern } from "../../src/federa/_nearest_pattern.ts";
import { matchesPattern, matchLinears } from "../../src/federa/patterns.ts";
import { testGpu } from "../engine/harness.ts";
import { linearStack } from "../support/linear_stack.ts";

const gpu = await testGpu();

test("matchesPattern() takes * within a part and ** over any number of parts", () => {
  const cases: [string, string, boolean][] = [
    ["encoder.layers.0.attention.qkv", "**.attention.*", true],
    ["attention.qkv", "**.attention.*", true],
    ["encoder.layers.0.attention.qkv.inner", "**.attention.*", false],
    ["encoder.layers.0.attention", "**.attention.*", false],
    ["encoder.layers.0.selfattention.qkv", "**.attention.*", false],
    ["encoder.layers.0.feedForward.inner", "encoder.layers.*.feedForward.*", true],
    ["encoder.layers.10.feedForward.inner", "encoder.layers.?.feedForward.*", false],
    ["encoder.layers.0.query", "**.q*", true],
    ["encoder.layers.0.query", "*.query", false],
    ["encoder.layers.0.query", "encoder.**", true],
    ["encoder.layers.0.query", "encoder.**.query", true],
    ["encoder.query", "encoder.**.query", true],
    ["encoder.layers.0.query", "**", true],
    ["head", "*", true],
    ["encoder.head", "*", false],
    ["encoderXhead", "encoder.head", false],
    ["head", "", false],
  ];
  for (const [name, pattern, expected] of cases) {
    assert.equal(matchesPattern(name, pattern), expected, `${name} by ${pattern}`);
  }
});

/** Whether a name matches, by trying every length for each star. */
function oracle(name: string, pattern: string): boolean {
  if (pattern === "") return name === "";
  const tails = Array.from({ length: name.length + 1 }, (_, i) => i);
  if (pattern.startsWith("**.")) {
    const rest = pattern.slice(3);
    return oracle(name, rest) || tails.some((i) => name[i] === "." && oracle(name.slice(i + 1), rest));
  }
  if (pattern.startsWith("**")) return tails.some((i) => oracle(name.slice(i), pattern.slice(2)));
  if (pattern.startsWith("*")) {
    return tails.some((i) => !name.slice(0, i).includes(".") && oracle(name.slice(i), pattern.slice(1)));
  }
  return name[0] === pattern[0] && oracle(name.slice(1), pattern.slice(1));
}

test("matchesPattern() agrees with an exhaustive matcher", () => {
  const letters = fc.constantFrom("a", "b", ".", "+", "(");
  const names = fc.string({ unit: letters, maxLength: 7 });
  const patterns = fc.string({ unit: fc.oneof(letters, fc.constantFrom("*", "**", "**.")), maxLength: 5 })
    .filter((pattern) => !pattern.includes("***"));
  fc.assert(
    fc.property(names, patterns, (name, pattern) => {
      assert.equal(matchesPattern(name, pattern), oracle(name, pattern));
    }),
    { numRuns: 2000 },
  );
});

test("matchLinears() gives names once and in model order, whatever the order of patterns", () => {
  const model = linearStack(gpu, [2, 3, 4, 5], 1);
  assert.deepEqual(matchLinears(model, ["head", "layers.*", "**.1"]), ["layers.0", "layers.1", "head"]);
  assert.deepEqual(matchLinears(model, ["**.1"]), ["layers.1"]);
});

test("matchLinears() names a pattern that matches nothing and the layers there are", () => {
  const model = linearStack(gpu, [2, 3, 4, 5], 1);
  const message = 'Cannot attach adapters to "layers.2": it matches no linear layer; ' +
    'there are layers.0, layers.1, head; did you mean "layers.0"?';
  assert.throws(() => matchLinears(model, ["head", "layers.2"]), { name: "PatternError", message });
  assert.throws(() => matchLinears(model, ["layers.0.weight"]), { name: "PatternError" });
  assert.throws(() => matchLinears(model, []), {
    name: "PatternError",
    message: /layers\.0, layers\.1, head/,
  });
});

test("nearestPattern() finds what a pattern that matches nothing was meant for", () => {
  const bert = Array.from(
    { length: 12 },
    (_, i) =>
      ["attention.self.query", "attention.self.key", "attention.output.dense", "intermediate.dense"].map((
        part,
      ) => `encoder.encoder.layer.${i}.${part}`),
  ).flat();
  const cases: [string, string | undefined][] = [
    ["**.attention.*", "**.attention.**"],
    ["query", "**.query"],
    ["attention.self.query", "**.attention.self.query"],
    ["encoder.layer.*.attention.self.query", "**.encoder.layer.*.attention.self.query"],
    ["encoder.encoder.layer.3", "encoder.encoder.layer.3.**"],
    ["**.atention.self.*", "**.attention.self.*"],
    ["**.layers.*.attention.**", "**.layer.*.attention.**"],
    ["**.Query", "**.query"],
    ["zebra", undefined],
  ];
  for (const [pattern, expected] of cases) {
    const found = nearestPattern(pattern, bert, matchesPattern);
    assert.equal(found, expected, pattern);
    if (found !== undefined) assert.ok(bert.some((name) => matchesPattern(name, found)));
  }
});
