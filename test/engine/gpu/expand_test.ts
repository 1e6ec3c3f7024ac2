import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { expandShader, placeInSource } from "../../../src/engine/gpu/_expand.ts";

test("expandShader() puts directives first, then constants, then the text", () => {
  const source = "struct P { m: u32 }\nenable f16;\ndiagnostic(off, subgroup_uniformity);\nvar x = SIZE;";
  assert.equal(
    expandShader(source, { SIZE: 4, FAST: true, NAME: "SIZE" }),
    "enable f16;\ndiagnostic(off, subgroup_uniformity);\nconst SIZE = 4;\nconst FAST = true;\nconst NAME = SIZE;\n" +
      "struct P { m: u32 }\nvar x = SIZE;\n",
  );
});

test("expandShader() repeats nested loops, inner index fastest", () => {
  const source = "//@for i in 0..ROWS\n  a{i};\n  //@for j in 0..2\n  c{i}_{j} {k};\n  //@end\n//@end\nend";
  assert.equal(
    expandShader(source, { ROWS: 2 }),
    "const ROWS = 2;\n  a0;\n  c0_0 {k};\n  c0_1 {k};\n  a1;\n  c1_0 {k};\n  c1_1 {k};\nend\n",
  );
});

test("expandShader() repeats a block for each of a list of names", () => {
  const source = "//@for array in x, dy\nfn {array}_at(i: u32) -> f32 { return {array}[i]; }\n//@end";
  assert.equal(
    expandShader(source, {}),
    "fn x_at(i: u32) -> f32 { return x[i]; }\nfn dy_at(i: u32) -> f32 { return dy[i]; }\n",
  );
});

test("expandShader() keeps one branch, and only that branch's directives", () => {
  const source = "//@if ON\nenable subgroups;\nyes\n//@else\nno\n//@end\nlast";
  assert.equal(expandShader(source, { ON: true }), "enable subgroups;\nconst ON = true;\nyes\nlast\n");
  assert.equal(expandShader(source, { ON: false }), "const ON = false;\nno\nlast\n");
  assert.equal(expandShader("//@if ON\nyes\n//@end\nlast", { ON: 0 }), "const ON = 0;\nlast\n");
});

test("expandShader() repeats from a first index on, and not at all where the limit is no greater", () => {
  assert.equal(expandShader("//@for i in A..4\n{i}\n//@end", { A: 2 }), "const A = 2;\n2\n3\n");
  assert.equal(expandShader("//@for i in 4..A\n{i}\n//@end", { A: 2 }), "const A = 2;\n");
});

test("expandShader() makes as many lines as the product of its limits", () => {
  fc.assert(fc.property(fc.array(fc.nat(4), { minLength: 1, maxLength: 4 }), (limits) => {
    const names = limits.map((_, depth) => `i${depth}`);
    const source = [
      ...limits.map((_, depth) => `//@for i${depth} in 0..N${depth}`),
      `x ${names.map((name) => `{${name}}`).join(" ")}`,
      ...limits.map(() => "//@end"),
    ].join("\n");
    const constants = Object.fromEntries(limits.map((limit, depth) => [`N${depth}`, limit]));
    const lines = expandShader(source, constants).split("\n").filter((line) => line.startsWith("x "));
    assert.equal(lines.length, limits.reduce((product, limit) => product * limit, 1));
    assert.equal(new Set(lines).size, lines.length);
  }));
});

test("expandShader() refuses what it cannot carry out, with the line", () => {
  const refuses = (source: string, message: RegExp) =>
    assert.throws(
      () => expandShader(source, { A: 1.5 }),
      (error) => error instanceof RangeError && message.test(error.message),
    );
  refuses("x\n//@for i in 0..B\n//@end", /line 2, .*unknown constant "B"/);
  refuses("//@for i in 0..A\n//@end", /whole bounds, got 1\.5/);
  refuses("//@for i in a b\n//@end", /must read/);
  refuses("//@if B\n//@end", /unknown constant "B"/);
  refuses("x\n//@if A\nx", /line 2, .*not closed/);
  refuses("//@for i in 0..2\n//@else\n//@end", /line 1, .*not closed/);
  refuses("x\n//@end", /line 2, .*no opening command/);
  refuses("//@repeat 3", /no known command/);
  refuses("//@from a.wgsl 1\nx\n//@from b/c.wgsl 8\ny\n//@if B\n//@end", /b\/c\.wgsl:9, "\/\/@if B", names/);
});

test("placeInSource() says where a line of the expanded text stands", () => {
  const source = "x\n//@from a.wgsl 3\n//@for i in 0..2\ny{i}\nenable f16;\n//@end\nz";
  const lines = expandShader(source, { N: 1 }).split("\n");
  const places = lines.map((_, i) => placeInSource(source, { N: 1 }, i + 1));
  assert.deepEqual(lines, ["enable f16;", "enable f16;", "const N = 1;", "x", "y0", "y1", "z", ""]);
  assert.deepEqual(places, [
    "a.wgsl:5",
    "a.wgsl:5",
    undefined,
    "line 1",
    "a.wgsl:4",
    "a.wgsl:4",
    "a.wgsl:7",
    undefined,
  ]);
});
