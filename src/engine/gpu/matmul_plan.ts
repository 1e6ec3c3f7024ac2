import type { KernelConstant } from "./kernel.ts";

/** A batch of equal matrix products C = op(A) op(B) and the adapter that it is to run on. */
export interface MatmulProblem {
  /** Rows of op(A) and of C. */
  readonly m: number;
  /** Columns of op(B) and of C. */
  readonly n: number;
  /** Columns of op(A), rows of op(B). */
  readonly k: number;
  /** Number of products. */
  readonly batch: number;
  /** A is stored as k × m. */
  readonly transposeA?: boolean;
  /** B is stored as n × k. */
  readonly transposeB?: boolean;
  /** Offset, row, batch strides and bound length of A are multiples of 4 elements. */
  readonly vecA?: boolean;
  /** Offset, row, batch strides and bound length of B are multiples of 4 elements. */
  readonly vecB?: boolean;
  /** A row of n numbers is added to every row of C. */
  readonly hasBias?: boolean;
  /** Sums start from what C holds; `alpha` must be 1. */
  readonly accumulate?: boolean;
  /** A software rasteriser, or a real GPU. */
  readonly adapterClass: "cpu" | "gpu";
  /** Lanes of a subgroup where the device has subgroups and the adapter only this one size; otherwise leave it out. */
  readonly subgroupSize?: number;
  /** The device's `maxComputeWorkgroupsPerDimension`; the guaranteed 65535 by default. */
  readonly maxWorkgroups?: number;
}

/** How to launch a {@linkcode MatmulProblem}. */
export interface MatmulPlan {
  /** Which of `matmul_register.wgsl` and `matmul_workgroup.wgsl`. */
  readonly shader: "register" | "workgroup";
  /** Every constant that the shader's text needs. */
  readonly constants: Readonly<Record<string, KernelConstant>>;
  /** The grid; one workgroup a tile of C, folded into y when x is full. */
  readonly workgroups: readonly [number, number, number];
}

/**
 * Chooses kernel, tile and grid of a matrix product. All choices give the same bits: every element of C is one chain
 * of fused multiply-adds over k in ascending order, whatever the tile. Sizes enter the grid, never the text, so
 * that few pipelines are compiled.
 *
 * | elements of C a workgroup | usual | n small | m small |
 * |---|---|---|---|
 * | CPU, subgroups of 8 | 16 × 16 | 16 × 8 (n ≤ 8) | 8 × 16 (m ≤ 8) |
 * | CPU, no known subgroups | 8 × 32 | 8 × 8 (n ≤ 8) | 8 × 32 |
 * | GPU | 64 × 64, or 128 × 128 when that still makes 128 workgroups | 64 × 16 (n ≤ 16) | 16 × 64 (m ≤ 16) |
 *
 * @throws {RangeError} A size is not a positive whole number, or the grid does not fit into two dimensions.
 *
 * @example
 * ```ts
 * import { planMatmul } from "./matmul_plan.ts";
 *
 * planMatmul({ m: 512, n: 8, k: 768, batch: 1, transposeB: true, adapterClass: "gpu" }).workgroups; // [8, 1, 1]
 * ```
 */
export function planMatmul(problem: MatmulProblem): MatmulPlan {
  const { m, n, k, batch, maxWorkgroups = 65535 } = problem;
  for (const [name, size] of Object.entries({ m, n, k, batch })) {
    if (!Number.isInteger(size) || size < 1) {
      throw new RangeError(
        `Cannot plan matrix product: ${name} must be a positive whole number, got ${size}`,
      );
    }
  }
  const { shader, constants, tileM, tileN } = problem.adapterClass === "cpu"
    ? registerTile(problem)
    : workgroupTile(problem);
  const total = Math.ceil(m / tileM) * Math.ceil(n / tileN) * batch;
  const x = Math.min(total, maxWorkgroups);
  const y = Math.ceil(total / x);
  if (y > maxWorkgroups || x * y >= 2 ** 32) {
    throw new RangeError(
      `Cannot plan matrix product: ${total} workgroups are needed, got ${maxWorkgroups} a dimension`,
    );
  }
  const common = {
    TRANSPOSE_A: problem.transposeA ?? false,
    TRANSPOSE_B: problem.transposeB ?? false,
    HAS_BIAS: problem.hasBias ?? false,
    ACCUMULATE: problem.accumulate ?? false,
  };
  return { shader, constants: { ...common, ...constants }, workgroups: [x, y, 1] };
}

interface Tile extends Pick<MatmulPlan, "shader" | "constants"> {
  readonly tileM: number;
  readonly tileN: number;
}

/** One subgroup a workgroup, so that every lane can see what another has loaded. */
function registerTile({ m, n, transposeA, transposeB, vecA, vecB, subgroupSize = 0 }: MatmulProblem): Tile {
  const shared = [4, 8, 16].includes(subgroupSize);
  const lanes = shared ? subgroupSize : 8;
  const share = shared ? lanes : 1;
  const rows = shared && m > 8 ? 16 : 8;
  const columns = n <= lanes ? 1 : shared && lanes > 4 ? 2 : 4;
  const loads = Math.ceil(rows / share);
  const constants = {
    SHARED: shared,
    SHARE: share,
    LANES: lanes,
    A_LOADS: loads,
    COLUMNS: columns,
    VEC_A: shared && !transposeA && (vecA ?? false),
    VEC_B: shared && (transposeB ?? false) && (vecB ?? false),
  };
  return { shader: "register", constants, tileM: loads * share, tileN: columns * lanes };
}

/** 256 threads, the number that every device allows. */
function workgroupTile({ m, n, batch }: MatmulProblem): Tile {
  const large = Math.floor(m / 128) * Math.floor(n / 128) * batch >= 128;
  const [rows, columns, depth] = n <= 16 ? [4, 1, 16] : m <= 16 ? [1, 4, 16] : large ? [8, 8, 8] : [4, 4, 16];
  const constants = { THREADS: 16, ROWS: rows, COLUMNS: columns, DEPTH: depth };
  return { shader: "workgroup", constants, tileM: 16 * rows, tileN: 16 * columns };
}
