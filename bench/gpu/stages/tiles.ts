import { tensor } from "../../../src/engine/mod.ts";
import { gemm } from "../../../src/engine/ops/matmul/gemm.ts";
import type { MatmulProblem } from "../../../src/engine/ops/matmul/matmul_plan.ts";
import {
  candidateTiles,
  defaultTile,
  type MatmulTile,
  shapeClass,
  tileName,
} from "../../../src/engine/ops/matmul/matmul_tile.ts";
import { tuningOf } from "../../../src/engine/ops/matmul/tuning.ts";
import { empty } from "../../../src/engine/tensor.ts";
import type { GpuRow } from "../row.ts";
import { flopShares, type StageContext, uniformValues } from "../stage.ts";
import { ours, time } from "../timing.ts";

type Size = Pick<MatmulProblem, "m" | "n" | "k" | "transposeA" | "transposeB">;

/** Sizes of a MiniLM layer at few and many rows, of BERT-base, and the skinny ones of adapters. */
const sizes: readonly Size[] = [
  { m: 1024, n: 384, k: 384, transposeB: true },
  { m: 8192, n: 1536, k: 384, transposeB: true },
  { m: 8192, n: 384, k: 1536 },
  { m: 8192, n: 768, k: 768, transposeB: true },
  { m: 4096, n: 4096, k: 4096 },
  { m: 8192, n: 8, k: 384, transposeB: true },
  { m: 8, n: 384, k: 8192, transposeA: true },
  { m: 8192, n: 384, k: 8 },
  { m: 768, n: 3072, k: 8192, transposeA: true },
];

/** Every tile that the tuner may choose, on the same product: which is fastest, and that all give the same bits. */
export async function* tilesStage({ gpu, ceilings, quick }: StageContext): AsyncIterable<GpuRow> {
  const { class: adapterClass, subgroupSize } = gpu.adapter;
  for (const size of quick ? [{ m: 256, n: 384, k: 128, transposeB: true }] : sizes) {
    const { m, n, k, transposeA = false, transposeB = false } = size;
    const problem: MatmulProblem = {
      ...{ m, n, k, batch: 1, transposeA, transposeB, vecA: true, vecB: n % 4 === 0, adapterClass },
      ...(subgroupSize !== undefined && { subgroupSize }),
    };
    using a = tensor(gpu, uniformValues(m * k, 1), { shape: [m * k] });
    using b = tensor(gpu, uniformValues(n * k, 2), { shape: [n * k] });
    using c = empty(gpu, [m, n]);
    const use = (tile: MatmulTile) => tuningOf(gpu).use(new Map([[shapeClass(problem), tile]]));
    const multiply = () =>
      gemm({
        a: { tensor: a, row: transposeA ? m : k },
        b: { tensor: b, row: transposeB ? k : n },
        c: { tensor: c, row: n },
        ...{ m, n, k, transposeA, transposeB },
      });
    const usual = tileName(defaultTile(problem));
    const differing: string[] = [];
    let expected: Uint32Array | undefined;
    const contenders = [];
    for (const tile of candidateTiles(problem)) {
      use(tile);
      multiply();
      const bits = new Uint32Array((await c.floats()).buffer);
      expected ??= bits;
      if (bits.some((each, i) => each !== expected![i])) differing.push(tileName(tile));
      const { run } = ours(gpu, multiply);
      contenders.push({
        name: tileName(tile),
        run: (count: number) => {
          use(tile);
          return run(count);
        },
      });
    }
    const timed = await time(contenders, { seconds: 2.5, sampleMilliseconds: 20 });
    tuningOf(gpu).use(new Map());
    const [fastest, best] = Object.entries(timed.milliseconds).reduce((x, y) => y[1] < x[1] ? y : x);
    yield {
      name: `${shapeClass(problem)}: ${m}×${n}×${k}`,
      ...timed,
      flops: 2 * m * n * k,
      shares: flopShares({ [usual]: timed.milliseconds[usual]!, [fastest]: best }, 2 * m * n * k, ceilings),
      checks: [{ what: `tiles of other bits ${differing.join()}`, found: differing.length, allowed: 0 }],
      notes: [
        `usual ${usual}, fastest ${fastest}, ${(timed.milliseconds[usual]! / best).toFixed(2)}× as fast`,
      ],
    };
  }
}
