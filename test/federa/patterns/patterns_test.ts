import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  matchesPattern,
  matchLinears,
  matchNames,
  PatternError,
} from "../../../src/federa/patterns/patterns.ts";
import { testGpu } from "../../engine/harness.ts";
import { linearStack } from "../../support/linear_stack.ts";

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
  const patterns = fc.string({ unit: fc.oneof(letters, fc.constantFrom("*", "**", "**.")), maxLength: 5 });
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

test("matchesPattern() takes linear time", { timeout: 10_000 }, () => {
  const name = `${"a.".repeat(2_000)}a`;
  for (const star of ["**.", "**", "*", "*.", "**.*", "*a", "**a", "**.a", "a*.**"]) {
    const pattern = star.repeat(1000 / star.length);
    assert.equal(matchesPattern(name, `${pattern.slice(0, 999)}b`), false);
    assert.equal(matchesPattern(name.slice(0, 999), `${pattern.slice(0, 999)}b`), false);
  }
  assert.equal(matchesPattern(name, "**.".repeat(300) + "a"), true);
  assert.equal(matchesPattern("a", "*".repeat(1001)), false);
});

test("matchLinears() offers the nearest pattern that matches, and lists the shapes of names", () => {
  const model = linearStack(gpu, [2, 3, 4, 5], 1);
  const message = 'Cannot attach adapters to "layers.2": it matches no linear layer; ' +
    'the linear layers are layers.*, head; did you mean "layers.*"?';
  assert.throws(() => matchLinears(model, ["head", "layers.2"]), { name: "PatternError", message });
  assert.throws(() => matchLinears(model, ["layers.0.weight"]), { name: "PatternError" });
  assert.throws(() => matchLinears(model, []), {
    name: "PatternError",
    message: "Cannot attach adapters without a pattern: the linear layers are layers.*, head",
  });
});

/** Linear layers of encoders by the names that their authors give them. */
const layersOf = (prefix: string, names: readonly string[], ...more: string[]) => [
  ...Array.from({ length: 12 }, (_, i) => names.map((name) => `${prefix}.${i}.${name}`)).flat(),
  ...more,
];
const bert = layersOf("encoder.layer", [
  "attention.self.query",
  "attention.self.key",
  "attention.self.value",
  "attention.output.dense",
  "intermediate.dense",
  "output.dense",
], "pooler.dense");
const distilbert = layersOf("transformer.layer", [
  "attention.q_lin",
  "attention.k_lin",
  "attention.v_lin",
  "attention.out_lin",
  "ffn.lin1",
  "ffn.lin2",
]);

test("matchNames() offers what was meant, in the model's own words", () => {
  const cases: [names: string[], pattern: string, offered: string, count: number][] = [
    [bert, "**.attention.*", "**.attention.**", 48],
    [bert, "query", "**.query", 12],
    [bert, "**.Query", "**.query", 12],
    [bert, "**.q_lin", "**.query", 12],
    [bert, "encoder.layers.*.attention.**", "encoder.layer.*.attention.**", 48],
    [bert, "layer.*.attention.self.query", "**.layer.*.attention.self.query", 12],
    [bert, "encoder.layer.12.output.dense", "encoder.layer.*.output.dense", 12],
    [bert, "encoder.layer.3", "encoder.layer.3.**", 6],
    [bert, "attention.self.query", "**.attention.self.query", 12],
    [bert, "**.atention.self.*", "**.attention.self.*", 36],
    [bert, "**.layers.*.attention.**", "**.layer.*.attention.**", 48],
    [distilbert, "**.attention.self.*", "**.attention.*", 48],
    [distilbert, "encoder.layer.*.attention.*", "transformer.layer.*.attention.*", 48],
    [distilbert, "**.query", "**.q_lin", 12],
  ];
  for (const [names, pattern, offered, count] of cases) {
    assert.throws(() => matchNames(names, [pattern]), (error) => {
      assert.ok(error instanceof PatternError);
      assert.ok(
        error.message.endsWith(`; did you mean "${offered}"?`),
        `${pattern}: ${error.message}`,
      );
      assert.equal(matchNames(names, [offered]).length, count);
      return true;
    });
  }
  assert.throws(() => matchNames(bert, ["jjj"]), { message: /, pooler\.dense$/ });
  assert.throws(() => matchNames(bert, ["**.attention.*"]), {
    message:
      /; the linear layers are encoder\.layer\.\*\.attention\.self\.query, .*, pooler\.dense; did you mean/,
  });
});

test("matchNames() answers at once, and offers only what matches, whatever the names and patterns", () => {
  const parts = fc.array(fc.constantFrom("a", "ab", "layer", "0", "12", "*", "**", "a*", "", "***"), {
    maxLength: 6,
  }).map((list) => list.join("."));
  const names = fc.array(
    fc.array(fc.constantFrom("a", "ab", "layers", "3", "x"), { minLength: 1, maxLength: 6 }).map((list) =>
      list.join(".")
    ),
    { maxLength: 5 },
  );
  fc.assert(fc.property(names, parts, (list, pattern) => {
    try {
      assert.deepEqual(
        matchNames(list, [pattern]),
        list.filter((name) => matchesPattern(name, pattern)),
      );
    } catch (error) {
      assert.ok(error instanceof PatternError);
      const offered = /did you mean "(.*)"/.exec(error.message);
      if (offered) assert.notEqual(matchNames(list, [offered[1]!]).length, 0);
    }
  }));
});

test("matchNames() stays quick and short for absurd patterns and names", { timeout: 10_000 }, () => {
  const many = Array.from({ length: 4_000 }, (_, i) => `layer${i}.${"x".repeat(100)}.dense`);
  for (const pattern of [`${"**.".repeat(300)}nope`, "y".repeat(1000), "a.b.".repeat(8), "\u001b[2J.dense"]) {
    assert.throws(() => matchNames(many, [pattern]), (error) => {
      assert.ok(error instanceof PatternError && error.message.length < 5000);
      assert.match(error.message, /and 3980 more(; did you mean ".*"\?)?$/);
      return true;
    });
  }
  assert.throws(() => matchNames(many, ["x".repeat(1e6)]), {
    message: /^Cannot attach adapters to "x{60}…": a pattern may have at most 1000 characters, got 1000000$/,
  });
});
