import { type ObservedProblem, randomKey, RandomStream, tuningOf } from "../../src/engine/mod.ts";
import { defaultTile } from "../../src/engine/ops/matmul/matmul_tile.ts";
import { type Ceiling, createCeiling } from "../ceiling.ts";
import { createLoads, type Loads } from "../loads.ts";
import type { BenchContext, Contender, Row, Suite } from "../contender.ts";
import { measure } from "../measure.ts";
import { type Operands, type PreparedProduct, type Product, productPrograms } from "../products.ts";

const products: readonly Product[] = [
  { m: 256, k: 256, n: 256 },
  { m: 512, k: 512, n: 512 },
  { m: 1024, k: 1024, n: 1024 },
  { m: 1024, k: 384, n: 1536 },
  { m: 1024, k: 384, n: 1536, transposeB: true },
  { m: 1024, k: 384, n: 1536, transposeA: true },
  { m: 4096, k: 768, n: 8 },
  { m: 8, k: 768, n: 768 },
  { batch: 48, m: 64, k: 64, n: 64 },
  { m: 509, k: 251, n: 383 },
  { m: 512, k: 256, n: 384 },
];

const tolerance = 1e-4;
const checkedEntries = 64;

/** Matrix products beside other libraries, each with its operands on the device. */
export const matmulSuite: Suite = {
  name: "matmul",
  title: "matrix products, f32, operands on the device",
  subject: "federa",
  comparesPeers: true,
  goal: {
    what:
      "2× the better peer, no shape below 1×, 1024³ at 35 % of the multiply-add ceiling, odd sizes within 1.5× of even",
    check: ({ geomeanOverBestPeer, rows }) => {
      const least = Math.min(...rows.flatMap(({ ratios }) => Object.values(ratios)));
      const row = (name: string) => rows.find((each) => each.name === name)!;
      const { gflops = NaN, ceilingGflops = NaN } = row("1024³");
      const slowdown = (row("[512×256]·[256×384]").gflops ?? NaN) /
        (row("[509×251]·[251×383]").gflops ?? NaN);
      const share = gflops / ceilingGflops;
      const mean = geomeanOverBestPeer ?? NaN;
      return {
        measured: `${mean.toFixed(2)}×, least ${least.toFixed(2)}×, ${
          (100 * share).toFixed(0)
        } %, odd sizes ${slowdown.toFixed(2)}×`,
        holds: mean >= 2 && least >= 1 && share >= 0.35 && slowdown <= 1.5,
      };
    },
  },
  async *rows(context) {
    const bounds = { ceiling: await createCeiling(context.gpu), loads: await createLoads(context.gpu) };
    for (const product of products) {
      yield await measureProduct(product, bounds, context);
    }
  },
};

async function measureProduct(
  product: Product,
  { ceiling, loads }: { readonly ceiling: Ceiling; readonly loads: Loads | undefined },
  { gpu, jax, tfjs, complain }: BenchContext,
): Promise<Row> {
  const { m, k, n, batch = 1 } = product;
  const name = nameOf(product);
  const stream = new RandomStream(randomKey(0, "matmul", m, k, n));
  // Positive numbers, so that a sum's relative error says something.
  const positive = (size: number) => Float32Array.from({ length: size }, () => stream.uniform(24));
  const operands = { a: positive(batch * m * k), b: positive(batch * k * n) };
  const contenders: Contender[] = [];
  const prepared: PreparedProduct[] = [];
  for (const [library, prepare] of productPrograms({ gpu, jax, tfjs })) {
    try {
      const ready = await prepare(product, operands);
      prepared.push(ready);
      check(await ready.result(), product, operands);
      contenders.push({ name: library, run: () => ready.run() });
    } catch (error) {
      if (library === "federa") throw error;
      complain(
        `${library} has no time for ${name}: ${error instanceof Error ? error.message : error}`,
      );
    }
  }
  try {
    const tiles = await tuningOf(gpu).observe(() => prepared[0]!.run());
    const samples = await measure([...contenders, ceiling, ...(loads ? [loads] : [])]);
    return {
      name,
      samples,
      flops: 2 * batch * m * k * n,
      ceilingFlops: ceiling.flops,
      ...(loads && { loads: tiles.reduce((sum, each) => sum + loadsOf(each), 0), boundLoads: loads.floats }),
    };
  } finally {
    for (const each of prepared) each.dispose();
  }
}

/** Numbers that the tiles of a product load, each of its operands' slices once. */
function loadsOf({ problem, calls }: ObservedProblem): number {
  const { m, n, k, batch } = problem;
  const { rows, columns } = defaultTile(problem);
  return calls * batch * k * Math.ceil(m / rows) * Math.ceil(n / columns) * (rows + columns);
}

function nameOf({ m, k, n, batch, transposeA, transposeB }: Product): string {
  if (m === k && k === n && batch === undefined) return `${m}³`;
  const a = transposeA ? `[${k}×${m}]ᵀ` : `[${m}×${k}]`;
  const b = transposeB ? `[${n}×${k}]ᵀ` : `[${k}×${n}]`;
  return `${batch === undefined ? "" : `${batch} × `}${a}·${b}`;
}

/** Compares entries spread over the result with sums in float64. */
function check(
  c: ArrayLike<number>,
  product: Product,
  operands: Operands,
): void {
  const { m, k, n, batch = 1, transposeA = false, transposeB = false } = product;
  const size = batch * m * n;
  if (c.length !== size) {
    throw new RangeError(
      `wrong result: expected ${size} numbers, got ${c.length}`,
    );
  }
  for (let entry = 0; entry < checkedEntries; entry++) {
    const at = Math.floor((entry + 0.5) / checkedEntries * size);
    const [z, i, j] = [
      Math.floor(at / (m * n)),
      Math.floor(at / n) % m,
      at % n,
    ];
    let expected = 0;
    for (let p = 0; p < k; p++) {
      const a = operands.a[z * m * k + (transposeA ? p * m + i : i * k + p)]!;
      const b = operands.b[z * k * n + (transposeB ? j * k + p : p * n + j)]!;
      expected += a * b;
    }
    if (!(Math.abs(c[at]! - expected) <= tolerance * expected)) {
      throw new RangeError(
        `wrong result at [${z}, ${i}, ${j}]: expected ${expected}, got ${c[at]}`,
      );
    }
  }
}
