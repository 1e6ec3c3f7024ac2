import type { Gpu } from "../../gpu/device.ts";
import { type MatmulPlan, type MatmulProblem, planMatmul } from "./matmul_plan.ts";
import { isCandidate, type MatmulTile, shapeClass } from "./matmul_tile.ts";

/** Tiles by shape class, as {@linkcode shapeClass} names it. */
export type TunedTiles = ReadonlyMap<string, MatmulTile>;

/** A matrix product that a computation needs, and how often. */
export interface ObservedProblem {
  readonly problem: MatmulProblem;
  readonly calls: number;
}

/**
 * Plans the matrix products of one device: with tiles that were measured to be fast there if they suit the product,
 * otherwise with the default table. All tiles give the same bits, so tuning changes times and nothing else; nothing is
 * measured unless {@linkcode tuneMatmul} is called.
 */
export class Tuning {
  #tiles: TunedTiles = new Map();
  #seen: Map<string, { problem: MatmulProblem; calls: number }> | null = null;

  /** The tiles in use. */
  get tiles(): TunedTiles {
    return this.#tiles;
  }

  /** Uses these tiles from now on, instead of those before. */
  use(tiles: TunedTiles): void {
    this.#tiles = new Map(tiles);
  }

  /** Plans a product; see {@linkcode planMatmul}. */
  plan(problem: MatmulProblem): MatmulPlan {
    if (this.#seen !== null) this.#note(problem);
    const tile = this.#tiles.size > 0 ? this.#tiles.get(shapeClass(problem)) : undefined;
    // Not all products of a class support the same tiles.
    return planMatmul(problem, tile !== undefined && isCandidate(problem, tile) ? tile : undefined);
  }

  /** Returns the distinct products that `body` records, in their order. */
  async observe(body: () => Promise<void>): Promise<ObservedProblem[]> {
    const seen = new Map<string, { problem: MatmulProblem; calls: number }>();
    this.#seen = seen;
    try {
      await body();
    } finally {
      this.#seen = null;
    }
    return [...seen.values()];
  }

  #note(problem: MatmulProblem): void {
    const key = JSON.stringify(problem);
    const before = this.#seen!.get(key);
    if (before === undefined) this.#seen!.set(key, { problem, calls: 1 });
    else before.calls++;
  }
}

const tunings = new WeakMap<Gpu, Tuning>();

/**
 * Returns the tuning of a device.
 *
 * @example
 * ```ts no-run
 * tuningOf(gpu).use(tiles);
 * ```
 */
export function tuningOf(gpu: Gpu): Tuning {
  let tuning = tunings.get(gpu);
  if (tuning === undefined) tunings.set(gpu, tuning = new Tuning());
  return tuning;
}
