import type { Gpu } from "../../gpu/device.ts";
import type { MatmulProblem } from "./matmul_plan.ts";
import { candidateTiles, defaultTile, type MatmulTile, shapeClass, tileName } from "./matmul_tile.ts";
import { gemm, storedRows } from "./gemm.ts";
import { full } from "../create.ts";
import { toPrecision } from "../compression/precision.ts";
import { type ObservedProblem, type TunedTiles, tuningOf } from "./tuning.ts";
import type { Tensor } from "../../tensor.ts";
import { disposeAll } from "../../tidy.ts";

/** Options of {@linkcode tuneMatmul}. */
export interface TuneOptions {
  /** Seconds to measure for, the costliest products first; 60 by default. */
  readonly seconds?: number;
  /** Called after each shape class. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Aborts the measurement with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The measurements of one shape class. */
export interface TunedClass {
  /** Name, as returned by {@linkcode shapeClass}. */
  readonly shapeClass: string;
  /** The class's product with the most work. */
  readonly problem: MatmulProblem;
  /** Milliseconds of one product by tile, the default first; empty if time ran out. */
  readonly measured: readonly { readonly tile: MatmulTile; readonly milliseconds: number }[];
  /** The fastest by 3 % or more, else the default. */
  readonly tile: MatmulTile;
}

const samples = 7;
const sampleMilliseconds = 4;
const sampleMultiplyAdds = 2 ** 26;
const worthwhile = 0.97;

/**
 * Measures the tiles of every shape class among `problems` in turn and returns the fastest. The tiles in use don't change:
 * pass the result to {@linkcode tilesOf}, and that to `tuningOf(gpu).use`.
 *
 * @example
 * ```ts no-run
 * const problems = await tuningOf(gpu).observe(async () => await trainOneStep());
 * tuningOf(gpu).use(tilesOf(await tuneMatmul(gpu, problems, { seconds: 30 })));
 * ```
 */
export async function tuneMatmul(
  gpu: Gpu,
  problems: readonly ObservedProblem[],
  options: TuneOptions = {},
): Promise<TunedClass[]> {
  const { seconds = 60, onProgress, signal } = options;
  const deadline = performance.now() + 1000 * seconds;
  const classes = costliestOfEachClass(problems.map(shortened));
  const before = tuningOf(gpu).tiles;
  const result: TunedClass[] = [];
  try {
    for (const [name, problem] of classes) {
      signal?.throwIfAborted();
      const usual = defaultTile(problem);
      const measured = performance.now() < deadline
        ? await measureTiles(gpu, { name, problem, tiles: [usual, ...others(problem, usual)], deadline })
        : [];
      const fastest = measured.reduce<(typeof measured)[number] | undefined>(
        (best, each) =>
          best === undefined || each.milliseconds < worthwhile * best.milliseconds ? each : best,
        undefined,
      );
      result.push({ shapeClass: name, problem, measured, tile: fastest?.tile ?? usual });
      onProgress?.(result.length, classes.size);
    }
    return result;
  } finally {
    tuningOf(gpu).use(before);
  }
}

/** The tiles to use after {@linkcode tuneMatmul}: those of all classes that were measured. */
export function tilesOf(classes: readonly TunedClass[]): TunedTiles {
  return new Map(
    classes.flatMap(({ shapeClass, measured, tile }) => measured.length > 0 ? [[shapeClass, tile]] : []),
  );
}

/** A product of the same class that takes milliseconds, not a second; it is large enough to run at the same rate. */
function shortened({ problem, calls }: ObservedProblem): ObservedProblem {
  const { m, n, k, batch } = problem;
  const rows = Math.min(m, 1024);
  const matrices = Math.max(
    Math.min(batch, 2),
    Math.min(batch, Math.ceil(sampleMultiplyAdds / (rows * n * k))),
  );
  return {
    problem: { ...problem, m: rows, batch: matrices },
    calls: calls * (m / rows) * (batch / matrices),
  };
}

function costliestOfEachClass(problems: readonly ObservedProblem[]): Map<string, MatmulProblem> {
  const work = ({ problem: { m, n, k, batch }, calls }: ObservedProblem) => m * n * k * batch * calls;
  const sorted = [...problems].sort((a, b) => work(b) - work(a));
  const classes = new Map<string, MatmulProblem>();
  for (const { problem } of sorted) {
    const name = shapeClass(problem);
    if (!classes.has(name)) classes.set(name, problem);
  }
  return classes;
}

function others(problem: MatmulProblem, usual: MatmulTile): MatmulTile[] {
  return candidateTiles(problem).filter((tile) => tileName(tile) !== tileName(usual));
}

interface Measurement {
  readonly name: string;
  readonly problem: MatmulProblem;
  readonly tiles: readonly MatmulTile[];
  readonly deadline: number;
}

/** The median time of each tile, sampled in turn so that other load on the machine affects all of them alike. */
async function measureTiles(gpu: Gpu, { name, problem, tiles, deadline }: Measurement) {
  const product = new Product(gpu, problem);
  try {
    const time = async (tile: MatmulTile, repeats: number) => {
      tuningOf(gpu).use(new Map([[name, tile]]));
      const start = performance.now();
      for (let i = 0; i < repeats; i++) product.record();
      await gpu.throttle(0);
      return (performance.now() - start) / repeats;
    };
    for (const tile of tiles) await time(tile, 1); // compiles
    const repeats = Math.max(1, Math.ceil(sampleMilliseconds / await time(tiles[0]!, 1)));
    const times = tiles.map((): number[] => []);
    for (let i = 0; i < samples && (i === 0 || performance.now() < deadline); i++) {
      for (const [at, tile] of tiles.entries()) times[at]!.push(await time(tile, repeats));
    }
    return tiles.map((tile, at) => ({ tile, milliseconds: median(times[at]!) }));
  } finally {
    product.dispose();
  }
}

/** A product of a problem's sizes and layout, on dense operands of its own. */
class Product {
  readonly #problem: MatmulProblem;
  readonly #tensors: { readonly a: Tensor; readonly b: Tensor; readonly c: Tensor };

  constructor(gpu: Gpu, problem: MatmulProblem) {
    const { m, n, k, batch, precisionB = "f32" } = problem;
    this.#problem = problem;
    // Rows as they are stored matter to 8 bits alone.
    const b = full(gpu, this.#problem.transposeB ? [batch * n, k] : [batch * k, n], 0.5);
    this.#tensors = {
      a: full(gpu, [batch, m, k], 0.5),
      b: toPrecision(b, precisionB),
      c: full(gpu, [batch, m, n], 0),
    };
    b.dispose();
  }

  record(): void {
    const { m, n, k, batch, transposeA = false, transposeB = false } = this.#problem;
    const { a, b, c } = this.#tensors;
    const stored = storedRows(b, transposeB ? k : n);
    gemm({
      a: { tensor: a, row: transposeA ? m : k, inner: m * k },
      b: { ...stored, inner: (transposeB ? n : k) * stored.row },
      c: { tensor: c, row: n, inner: m * n },
      m,
      n,
      k,
      batch: [1, batch],
      transposeA,
      transposeB,
    });
  }

  dispose(): void {
    disposeAll(Object.values(this.#tensors));
  }
}

function median(values: number[]): number {
  const sorted = values.sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}
