import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { planAttention } from "../../../../src/engine/ops/attention/attention_plan.ts";

const problem = fc.record({
  queries: fc.integer({ min: 1, max: 5000 }),
  keys: fc.integer({ min: 1, max: 5000 }),
  headSize: fc.integer({ min: 1, max: 160 }),
  matrices: fc.integer({ min: 1, max: 5000 }),
  adapterClass: fc.constantFrom("cpu" as const, "gpu" as const),
  subgroupSize: fc.constantFrom(0, 4, 8, 16, 32),
});

test("planAttention() chooses the path, and what forms a block, by head size and adapter alone", () => {
  fc.assert(fc.property(problem, problem, (p, q) => {
    const [one, other] = [p, { ...q, ...p, queries: q.queries, keys: q.keys, matrices: q.matrices }].map(
      planAttention,
    );
    assert.equal(one!.path, other!.path);
    if (one!.path === "plain" || other!.path === "plain") return;
    for (const part of ["forward", "queries", "keys"] as const) {
      assert.equal(one![part].constants["BLOCK"], other![part].constants["BLOCK"]);
    }
  }));
});

test("planAttention() fuses head sizes of 16 to 128 in whole vectors, on a CPU to 64", () => {
  fc.assert(fc.property(problem, (p) => {
    const { headSize, adapterClass, subgroupSize } = p;
    const vectors = headSize >= 16 && headSize <= 128 && headSize % 4 === 0;
    const { path } = planAttention(p);
    if (!vectors) assert.equal(path, "plain");
    else if (adapterClass === "gpu") assert.equal(path, "fused");
    else if (headSize > 64 || ![4, 8, 16].includes(subgroupSize)) assert.equal(path, "plain");
    else if (headSize % 8 === 0) assert.equal(path, "fused");
  }));
});

test("planAttention() gives every row to one workgroup and keeps within what every device allows", () => {
  fc.assert(fc.property(problem, (p) => {
    const plan = planAttention(p);
    if (plan.path === "plain") return;
    for (const part of ["forward", "queries", "keys"] as const) {
      const { constants: c, workgroups: [x, y, z] } = plan[part];
      const n = c as Readonly<Record<string, number>>;
      const rows = n["ROWS"]! * (n["LANES"] ?? 1);
      const total = Math.ceil((part === "keys" ? p.keys : p.queries) / rows) * p.matrices;
      assert.ok(x <= 65535 && y <= 65535 && z === 1 && x * y >= total && x * y - total < x);
      assert.equal(n["CHUNKS"], p.headSize / 4);
      if (plan.shader === "register") {
        assert.equal(n["LOADS"]! * n["PARTS"]!, n["CHUNKS"]);
        assert.equal(n["BLOCK"]! * n["PARTS"]!, n["LANES"]);
        continue;
      }
      assert.equal(n["SLICES"]! * n["SLICE"]!, n["CHUNKS"]);
      const threads = n["SLICES"]! * n["ROWS"]!;
      const scores = (part === "forward" ? 1 : 2) * threads * n["BLOCK"]!;
      assert.ok(threads <= 256 && 4 * (scores + 2 * n["BLOCK"]! * p.headSize) <= 16384);
    }
  }));
});
