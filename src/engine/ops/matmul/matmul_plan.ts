import type { KernelConstant } from "../../gpu/kernel.ts";
import type { Precision } from "../../tensor.ts";
import {
  candidateTiles,
  defaultTile,
  isCandidate,
  lanesOf,
  type MatmulTile,
  tileName,
} from "./matmul_tile.ts";

/** A batch of matrix products C = op(A) op(B) of equal size, and the adapter that will run it. */
export interface MatmulProblem {
  /** Rows of op(A) and of C. */
  readonly m: number;
  /** Columns of op(B) and of C. */
  readonly n: number;
  /** Columns of op(A), rows of op(B). */
  readonly k: number;
  /** Columns of op(A1), if C += op(A1) op(B1) too. */
  readonly k1?: number | undefined;
  /** Number of products. */
  readonly batch: number;
  /** A is stored as k × m. */
  readonly transposeA?: boolean;
  /** B is stored as n × k. */
  readonly transposeB?: boolean;
  /** Offset, strides, stored row length and bound length of A are multiples of 4 elements. */
  readonly vecA?: boolean;
  /** The same of B. */
  readonly vecB?: boolean;
  /** A and B were packed into texels, so that neither is transposed nor aligned any longer. */
  readonly texels?: boolean;
  /** How B is stored; `f32` by default. With `int8` there are neither `transposeA` nor `accumulate`. */
  readonly precisionB?: Precision;
  /** Sums start from what C holds; `alpha` must be 1. */
  readonly accumulate?: boolean;
  /** Each sum is one chain, however long: m and n are not the sides of a weight. */
  readonly whole?: boolean;
  /** A software rasteriser, or a real GPU. */
  readonly adapterClass: "cpu" | "gpu";
  /** Lanes of a subgroup, if the device supports subgroups and the adapter has only this size; otherwise leave it out. */
  readonly subgroupSize?: number;
  /** The device's `maxComputeWorkgroupsPerDimension`; the guaranteed 65535 by default. */
  readonly maxWorkgroups?: number;
}

/** How to launch a {@linkcode MatmulProblem}. */
export interface MatmulPlan {
  /** Which of `matmul_register.wgsl` and `matmul_workgroup.wgsl`. */
  readonly shader: "register" | "workgroup";
  /** Every constant that the shader's text needs besides those of the epilogue. */
  readonly constants: Readonly<Record<string, KernelConstant>>;
  /** Number of parts that the sum over k is split into; 1 for a single chain. */
  readonly splits: number;
  /** The grid: one workgroup for each tile of C and part, folded into y when x is full. */
  readonly workgroups: readonly [number, number, number];
}

/** Length of a part of a split sum. */
const splitLength = 512;
/** Largest side of a weight for which sums are split. */
const narrow = 64;

/**
 * Chooses the kernel and the grid of a matrix product. Every tile gives the same bits: each element of C is one chain of
 * fused multiply-adds over k in ascending order. Sizes enter the grid, never the text, so that few pipelines are
 * compiled.
 *
 * On a GPU sums over k are split into parts of 512 where a side of at most 64 leaves few workgroups to share the work. Parts
 * change the rounding, so this depends on the sides of weights alone, never on the number of rows that go through them:
 * on m and n where A is transposed (the gradient of a weight, rows being k), else on n. Zeros at the end of k add parts
 * that are zero, and so change nothing.
 *
 * @throws {RangeError} A size is not a positive whole number, the tile is none of {@linkcode candidateTiles}, or the grid
 *   does not fit into two dimensions.
 *
 * @example
 * ```ts
 * import { planMatmul } from "./matmul_plan.ts";
 *
 * planMatmul({ m: 512, n: 8, k: 768, batch: 1, transposeB: true, adapterClass: "gpu" }).workgroups; // [16, 1, 1]
 * ```
 */
export function planMatmul(problem: MatmulProblem, tile?: MatmulTile): MatmulPlan {
  const key = keyOf(problem, tile);
  let plan = plans.get(key);
  if (plan === undefined) {
    if (tile !== undefined) checkTile(problem, tile);
    plan = makePlan(problem, tile ?? defaultTile(problem));
    if (plans.size >= maxPlans) plans.clear();
    plans.set(key, plan);
  }
  return plan;
}

/** Plans made before: a training step needs the same few again and again. */
const plans = new Map<string, MatmulPlan>();
const maxPlans = 4096;

function keyOf(problem: MatmulProblem, tile: MatmulTile | undefined): string {
  const { m, n, k, k1, batch, adapterClass, subgroupSize, maxWorkgroups } = problem;
  const { transposeA, transposeB, texels, vecA, vecB, precisionB, accumulate, whole } = problem;
  return `${m} ${n} ${k} ${k1} ${batch} ${adapterClass} ${subgroupSize} ${maxWorkgroups} ` +
    `${transposeA} ${transposeB} ${texels} ${vecA} ${vecB} ${precisionB} ${accumulate} ${whole} ${
      tile && tileName(tile)
    }`;
}

function checkTile(problem: MatmulProblem, tile: MatmulTile): void {
  if (isCandidate(problem, tile)) return;
  throw new RangeError(
    `Cannot plan matrix product by tile ${tileName(tile)}: expected one of ${
      candidateTiles(problem).map(tileName).join(", ")
    }; tune again`,
  );
}

function makePlan(problem: MatmulProblem, tile: MatmulTile): MatmulPlan {
  const { m, n, k, batch, adapterClass, maxWorkgroups = 65535 } = problem;
  for (const [name, size] of Object.entries({ m, n, k, batch })) {
    if (!Number.isInteger(size) || size < 1) {
      throw new RangeError(
        `Cannot plan matrix product: ${name} must be a positive whole number, got ${size}`,
      );
    }
  }
  const splits = splitsOf(problem);
  const total = Math.ceil(m / tile.rows) * Math.ceil(n / tile.columns) * batch * splits;
  const x = Math.min(total, maxWorkgroups);
  const y = Math.ceil(total / x);
  if (y > maxWorkgroups || x * y >= 2 ** 32) {
    throw new RangeError(
      `Cannot plan matrix product: ${total} workgroups are needed, got ${maxWorkgroups} a dimension`,
    );
  }
  const { texels = false } = problem;
  // Texels have one layout; a second product's operands are as they were.
  const isStored = !texels || problem.k1 !== undefined;
  const common = {
    TRANSPOSE_A: isStored && (problem.transposeA ?? false),
    TRANSPOSE_B: isStored && (problem.transposeB ?? false),
    ACCUMULATE: problem.accumulate ?? false,
    TEXELS: texels,
    ...precisionConstants(problem),
    // Packing has converted B, and multiplied A by scales that belong to its columns.
    ...(texels && { HALF_B: false, INT8_B: false, SCALE_A: false }),
    TERMS: problem.k1 === undefined ? 1 : 2,
    SECOND: problem.k1 !== undefined,
  };
  const constants = adapterClass === "cpu"
    ? registerConstants(problem, tile)
    : workgroupConstants(problem, tile, splits);
  return {
    shader: adapterClass === "cpu" ? "register" : "workgroup",
    constants: { ...common, ...constants },
    splits,
    workgroups: [x, y, 1],
  };
}

/** How B is read, and where its scales are applied: they belong to columns of C where B is stored n × k, else to columns of A. */
export function precisionConstants(
  { precisionB = "f32", transposeB = false }: Pick<MatmulProblem, "precisionB" | "transposeB">,
) {
  const isInt8 = precisionB === "int8";
  return {
    HALF_B: precisionB === "f16",
    INT8_B: isInt8,
    SCALE_C: isInt8 && transposeB,
    SCALE_A: isInt8 && !transposeB,
  };
}

/** One subgroup for each workgroup, so that every lane can read what another has loaded. */
function registerConstants(problem: MatmulProblem, { rows, columns }: MatmulTile) {
  const { k, texels = false, transposeA = false, transposeB = false } = problem;
  const { vecA = false, vecB = false } = problem;
  const shared = lanesOf(problem) === problem.subgroupSize;
  const lanes = lanesOf(problem);
  const wide = !texels && shared && !transposeB && vecB && columns % (4 * lanes) === 0;
  const width = wide ? 4 : 1;
  return {
    SHARED: shared,
    SHARE: shared ? lanes : 1,
    LANES: lanes,
    A_LOADS: rows / (shared ? lanes : 1),
    COLUMNS: columns / (width * lanes),
    WIDTH: width,
    WIDE: wide,
    CHAINS: wide ? 2 : 1,
    CHAIN: wide ? 2 : 4,
    VEC_A: texels || (shared && vecA),
    PACKED_A: !texels && shared && vecA && transposeA,
    VEC_B: texels || (shared && vecB && (transposeB || wide)),
    TAIL: !texels && k % 4 !== 0,
    // One instruction with 8 lanes, but a loop over all of them with 16.
    SHUFFLES: shared && lanes === 8,
    FIRST_SINGLE: shared ? 1 : 0,
  };
}

/** 256 threads and 16 KiB of workgroup memory, as every device allows. */
function workgroupConstants({ vecA = false, vecB = false }: MatmulProblem, tile: MatmulTile, splits: number) {
  const { rows, columns, depth = 16, width = 1, slices = 1 } = tile;
  const [wideM, wideN] = [rows, columns].map((side) => width === 4 && side % 64 === 0);
  // Both or neither, and not for short sums: half as many pipelines, and models have aligned operands.
  const vectors = width === 4 && vecA && vecB;
  return {
    THREADS: 16,
    WIDE_M: wideM!,
    WIDTH_M: wideM ? 4 : 1,
    GROUPS_M: rows / (wideM ? 64 : 16),
    WIDE_N: wideN!,
    WIDTH_N: wideN ? 4 : 1,
    GROUPS_N: columns / (wideN ? 64 : 16),
    DEPTH: depth,
    SLICES: slices,
    VECTORS: vectors,
    FIRST_SINGLE: vectors ? 1 : 0,
    SPLIT: splits > 1 ? splitLength : 0,
  };
}

function splitsOf(problem: MatmulProblem): number {
  const { m, n, k, k1, transposeA = false, accumulate = false, whole = false, adapterClass } = problem;
  if (adapterClass === "cpu" || k1 !== undefined || accumulate || whole) return 1;
  const isNarrow = (transposeA ? Math.min(m, n) : n) <= narrow;
  return isNarrow ? Math.ceil(k / splitLength) : 1;
}
