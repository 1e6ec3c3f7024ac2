import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { planMatmul } from "../../../../src/engine/ops/matmul/matmul_plan.ts";
import { expandShader } from "../../../../src/engine/gpu/_expand.ts";
import {
  candidateTiles,
  defaultTile,
  type MatmulTile,
  tileName,
} from "../../../../src/engine/ops/matmul/matmul_tile.ts";
import register from "../../../../src/shaders/matmul/matmul_register.wgsl";
import workgroup from "../../../../src/shaders/matmul/matmul_workgroup.wgsl";

const size = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 5000 }));
const problem = fc.record({
  m: size,
  n: size,
  k: size,
  batch: size,
  transposeA: fc.boolean(),
  transposeB: fc.boolean(),
  vecA: fc.boolean(),
  vecB: fc.boolean(),
  texels: fc.boolean(),
  precisionB: fc.constantFrom("f32" as const, "f16" as const, "int8" as const),
  k1: fc.option(size, { nil: undefined }),
  accumulate: fc.boolean(),
  adapterClass: fc.constantFrom("cpu" as const, "gpu" as const),
  subgroupSize: fc.constantFrom(0, 4, 8, 16, 32, 64),
  maxWorkgroups: fc.constantFrom(65535, 2 ** 20),
}).map((p) => ({ ...p, texels: p.texels && p.adapterClass === "cpu" && p.subgroupSize === 8 }));

/** Elements of C that a workgroup makes, from the constants as the shaders' headers define them. */
function tileOf(shader: string, c: Readonly<Record<string, number>>): [number, number] {
  return shader === "register"
    ? [c["A_LOADS"]! * c["SHARE"]!, c["COLUMNS"]! * c["WIDTH"]! * c["LANES"]!]
    : [c["THREADS"]! * c["WIDTH_M"]! * c["GROUPS_M"]!, c["THREADS"]! * c["WIDTH_N"]! * c["GROUPS_N"]!];
}

test("planMatmul() launches a workgroup for every tile and part, and less than one row of the grid too many", () => {
  fc.assert(fc.property(problem, fc.nat(), (p, pick) => {
    const candidates = candidateTiles(p);
    const tile = candidates[pick % candidates.length]!;
    const { shader, constants, splits, workgroups: [x, y, z] } = planMatmul(p, tile);
    const [tileM, tileN] = tileOf(shader, constants as Record<string, number>);
    assert.deepEqual([tileM, tileN], [tile.rows, tile.columns]);
    const tiles = Math.ceil(p.m / tileM) * Math.ceil(p.n / tileN) * p.batch * splits;
    assert.ok(x <= p.maxWorkgroups && y <= p.maxWorkgroups && z === 1);
    assert.ok(x * y >= tiles && x * y - tiles < x, `${x} * ${y} for ${tiles} tiles`);
  }));
});

test("planMatmul() reads four elements at once only where they are aligned and the lanes share loads", () => {
  fc.assert(fc.property(problem, (p) => {
    const { shader, constants } = planMatmul(p);
    if (shader === "workgroup") return;
    if (p.texels) {
      assert.deepEqual(
        ["TEXELS", "VEC_A", "VEC_B", "SHUFFLES"].map((name) => constants[name]),
        [true, true, true, true],
      );
      assert.equal(constants["TRANSPOSE_B"], p.transposeB && p.k1 !== undefined);
      const off = ["PACKED_A", "WIDE", "TAIL", "HALF_B", "INT8_B", "SCALE_A"];
      assert.ok(off.every((name) => constants[name] === false));
      return;
    }
    assert.equal(constants["VEC_A"], constants["SHARED"] === true && p.vecA);
    assert.equal(constants["PACKED_A"], constants["VEC_A"] && p.transposeA);
    assert.equal(constants["WIDE"], constants["WIDTH"] === 4);
    if (constants["WIDE"]) assert.ok(constants["SHARED"] && p.vecB && !p.transposeB);
    assert.equal(
      constants["VEC_B"],
      constants["WIDE"] || (constants["SHARED"] === true && p.vecB && p.transposeB),
    );
    assert.equal(constants["SHARE"], constants["SHARED"] ? p.subgroupSize : 1);
    assert.equal(constants["LANES"], constants["SHARED"] ? p.subgroupSize : 8);
    assert.equal(constants["TAIL"], p.k % 4 !== 0);
  }));
});

test("planMatmul() names every constant of the shader that it picks but those of the epilogue", () => {
  const epilogue = { SCALED: true, RESIDUAL: true, ACTIVATION: true, GELU: true, SLOPE: true };
  fc.assert(
    fc.property(problem, (p) => {
      const { shader, constants } = planMatmul(p);
      const source = shader === "register" ? register : workgroup;
      const text = expandShader(source, { ...constants, ...epilogue }).replaceAll(/\/\/.*/g, "");
      const declared = new Set([...text.matchAll(/\bconst (\w+)/g)].map((match) => match[1]));
      for (const [name] of text.matchAll(/\b[A-Z][A-Z_]{2,}\b/g)) assert.ok(declared.has(name), name);
    }),
    { numRuns: 30 },
  );
});

test("planMatmul() depends on sizes by few sets of constants", () => {
  const sets = new Set<string>();
  for (const adapterClass of ["cpu", "gpu"] as const) {
    for (const m of [1, 8, 9, 17, 100, 1000, 4096]) {
      for (const n of [1, 8, 9, 17, 100, 1000, 4096]) {
        sets.add(
          JSON.stringify(planMatmul({ m, n, k: 64, batch: 1, adapterClass, subgroupSize: 8 }).constants),
        );
      }
    }
  }
  assert.ok(sets.size <= 11, `${sets.size} sets`);
});

test("planMatmul() matches grids worked by hand", () => {
  const cpu = { k: 768, adapterClass: "cpu", subgroupSize: 8 } as const;
  // 16 × 24, and 24 × 32 where rows of B run along n: 43 tiles of 24 rows cover 1024.
  assert.deepEqual(planMatmul({ ...cpu, m: 1024, n: 1536, batch: 1 }).workgroups, [64 * 64, 1, 1]);
  assert.deepEqual(planMatmul({ ...cpu, m: 1024, n: 1536, batch: 1, vecB: true }).workgroups, [
    43 * 48,
    1,
    1,
  ]);
  assert.deepEqual(planMatmul({ ...cpu, m: 17, n: 8, batch: 3 }).workgroups, [2 * 1 * 3, 1, 1]);
  // With 16 lanes 32 × 32; over texels 24 × 32, or 16 × 32 where 24 rows would leave more empty.
  const wide = { ...cpu, m: 1024, n: 1536, batch: 1, subgroupSize: 16, transposeB: true };
  assert.deepEqual(planMatmul(wide).workgroups, [32 * 48, 1, 1]);
  assert.deepEqual(planMatmul({ ...cpu, m: 1024, n: 1536, batch: 1, texels: true }).workgroups, [
    43 * 48,
    1,
    1,
  ]);
  assert.deepEqual(planMatmul({ ...cpu, m: 32, n: 96, batch: 2, texels: true }).workgroups, [
    2 * 3 * 2,
    1,
    1,
  ]);
  assert.deepEqual(planMatmul({ ...cpu, m: 8, n: 17, batch: 1 }).workgroups, [1, 1, 1]);
  assert.deepEqual(planMatmul({ ...cpu, m: 16, n: 16, batch: 65536 }).workgroups, [65535, 2, 1]);
  const gpu = { k: 768, batch: 1, adapterClass: "gpu" } as const;
  assert.deepEqual(planMatmul({ ...gpu, m: 65, n: 128 }).workgroups, [4, 1, 1]);
  assert.deepEqual(planMatmul({ ...gpu, m: 2048, n: 2048 }).workgroups, [256, 1, 1]);
  // Three parts of 512 of a long sum of few columns.
  assert.deepEqual(planMatmul({ ...gpu, m: 64, n: 8, k: 1100 }).workgroups, [3, 1, 1]);
});

test("planMatmul() splits sums by the sides of weights alone, whatever the rows", () => {
  fc.assert(fc.property(problem, size, size, (p, m, batch) => {
    const rows = p.transposeA ? { batch } : { m, batch };
    assert.equal(planMatmul({ ...p, ...rows }).splits, planMatmul(p).splits);
    if (p.adapterClass === "cpu") assert.equal(planMatmul(p).splits, 1);
  }));
});

test("planMatmul() refuses a tile that is none of the adapter's, and names those there are", () => {
  const problem = { m: 40, n: 48, k: 12, batch: 1 } as const;
  assert.throws(
    () => planMatmul({ ...problem, adapterClass: "cpu", subgroupSize: 8 }, { rows: 7, columns: 24 }),
    {
      name: "RangeError",
      message: /by tile 7×24: expected one of .*16×24.*; tune again/,
    },
  );
  assert.throws(() => planMatmul({ ...problem, adapterClass: "gpu" }, { rows: 64, columns: 64 }), {
    name: "RangeError",
    message: /by tile 64×64: expected one of .*64×64×16/,
  });
});

test("planMatmul() gives each thread of a GPU one block at most, 16 KiB of workgroup memory, and room for wide reads", () => {
  const problem = { m: 512, n: 512, k: 512, batch: 1, vecA: true, vecB: true, adapterClass: "gpu" } as const;
  for (const tile of candidateTiles(problem)) {
    const { depth = 0, slices = 1 } = tile;
    const c = planMatmul(problem, tile).constants;
    assert.ok((tile.rows + tile.columns) * depth <= 16 * 256, tileName(tile));
    // A word of padding in each row of single elements.
    const padded = tile.rows + tile.columns + Number(!c["WIDE_M"]) + Number(!c["WIDE_N"]);
    assert.ok(4 * slices * depth * padded <= 16384, tileName(tile));
    assert.deepEqual(
      [c["WIDE_M"], c["WIDE_N"]],
      [tile.rows, tile.columns].map((side) => tile.width === 4 && side >= 64),
    );
    assert.equal(c["VECTORS"], tile.width === 4);
    assert.equal(planMatmul({ ...problem, vecB: false }, tile).constants["VECTORS"], false);
  }
});

test("planMatmul() keeps a sum whole where it is told to", () => {
  const long = { m: 64, n: 8, k: 1100, batch: 1, adapterClass: "gpu" } as const;
  assert.deepEqual([planMatmul(long).splits, planMatmul({ ...long, whole: true }).splits], [3, 1]);
});

test("defaultTile() is one of the candidates of a CPU adapter and wastes least", () => {
  fc.assert(fc.property(problem, (p) => {
    const same = (a: MatmulTile, b: MatmulTile) => a.rows === b.rows && a.columns === b.columns;
    const tile = defaultTile(p);
    if (p.adapterClass === "gpu") return;
    const candidates = candidateTiles(p);
    assert.ok(candidates.some((each) => same(each, tile)));
    const work = ({ rows, columns }: MatmulTile) =>
      Math.ceil(p.m / rows) * rows * Math.ceil(p.n / columns) * columns;
    // The fastest tile is worth at most 1.15 / 0.5 of the slowest one's work.
    assert.ok(work(tile) <= 2.3 * Math.min(...candidates.map(work)));
  }));
});

test("planMatmul() refuses sizes that are no positive whole numbers and grids that do not fit", () => {
  const fine = { m: 4, n: 4, k: 4, batch: 1, adapterClass: "cpu" } as const;
  for (const bad of [{ m: 0 }, { n: -1 }, { k: 1.5 }, { batch: NaN }]) {
    assert.throws(() => planMatmul({ ...fine, ...bad }), RangeError);
  }
  assert.throws(() => planMatmul({ ...fine, batch: 2 ** 33 }), /workgroups are needed/);
});
