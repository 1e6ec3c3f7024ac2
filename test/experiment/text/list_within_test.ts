import assert from "node:assert/strict";
import { test } from "node:test";
import { listWithin } from "../../../src/experiment/text/list_within.ts";

test("listWithin() lists what fits, and how many more there are", () => {
  const names = Array.from({ length: 100_000 }, (_, i) => `class ${i}`);
  assert.equal(listWithin(["a 2", "b 1"], { before: "Classes: " }), "Classes: a 2, b 1");
  const line = listWithin(names, { before: "Classes: " });
  assert.equal(
    line,
    "Classes: class 0, class 1, class 2, class 3, class 4, class 5 and 99994 more",
  );
  assert.ok(line.length <= 80);
  assert.equal(listWithin(["x".repeat(99), "y"], { before: "" }), `${"x".repeat(79)}…`);
  assert.equal(listWithin([], { before: "Classes: " }), "Classes: ");
});
