import type { MatmulProblem } from "./matmul_plan.ts";

/** The part of C that one workgroup computes. */
export interface MatmulTile {
  /** A multiple of the subgroup size of a CPU adapter, of 16 on a GPU. */
  readonly rows: number;
  /** A multiple of the same; of four times it if rows of B run along n and are read four elements at a time. */
  readonly columns: number;
  /** Length of the k axis that is in workgroup memory at a time; GPUs only, as are those below. */
  readonly depth?: number;
  /** Neighbouring rows, and columns, that a thread reads from workgroup memory at once where there are enough; 1 by default. */
  readonly width?: 4;
  /** Slices of A and B in workgroup memory: of two, one is filled while the other is summed; 1 by default. */
  readonly slices?: 2;
}

/** A name that no other tile has, as in `128×128×8, 4 wide, 2 slices`. */
export function tileName({ rows, columns, depth, width, slices }: MatmulTile): string {
  return [
    [rows, columns, depth ?? []].flat().join("×"),
    ...width === undefined ? [] : [`${width} wide`],
    ...slices === undefined ? [] : [`${slices} slices`],
  ].join(", ");
}

/**
 * The tile that is used unless another was measured to be faster:
 *
 * | elements of C a workgroup | usual | n small | m small |
 * |---|---|---|---|
 * | CPU, subgroups of 8, B stored n × k | 16 × 24 or 16 × 16 | 16 × 8 (n ≤ 8) | 8 × 24 (m ≤ 8) |
 * | CPU, subgroups of 8, B stored k × n | 24 × 32 or 16 × 32 | 16 × 8 (n ≤ 8) | 8 × 32 (m ≤ 8) |
 * | CPU, subgroups of 8, operands in texels | 24 × 32 or 16 × 32 | the same | the same |
 * | CPU, subgroups of 16, B stored n × k | 32 × 32 or 16 × 48 | 16 × 16 (n ≤ 16) | 16 × 48 (m ≤ 16) |
 * | CPU, no known subgroups | 8 × 32 | 8 × 8 (n ≤ 8) | 8 × 32 |
 * | GPU | 64 × 64, or 128 × 128 when that still makes 128 workgroups | 64 × 16 (n ≤ 16) | 16 × 64 (m ≤ 16) |
 *
 * GPUs read four neighbours at once, except where k is so short that storing C takes most of the time: the rows of C are then
 * stored by neighbouring threads.
 *
 * Of two CPU tiles, the one with less work beyond the edges of C is used.
 */
export function defaultTile(problem: MatmulProblem): MatmulTile {
  const { m, n, k, batch } = problem;
  if (problem.adapterClass === "cpu") {
    return cheapest(problem, registerTiles(problem));
  }
  if (n <= 16) return { rows: 64, columns: 16, depth: 16, width: 4 };
  if (m <= 16) return { rows: 16, columns: 64, depth: 16, width: 4 };
  if (k <= shortSum) return { rows: 64, columns: 64, depth: 16 };
  const large = Math.floor(m / 128) * Math.floor(n / 128) * batch >= 128;
  return large
    ? { rows: 128, columns: 128, depth: 8, width: 4, slices: 2 }
    : { rows: 64, columns: 64, depth: 16, width: 4, slices: 2 };
}

/** Length of sums up to which a GPU spends more time on storing C than on multiplying. */
const shortSum = 32;

/** (rows + columns) · depth is at most 4096 for each slice, and for all of them too: 16 KiB. */
const workgroupTiles: readonly MatmulTile[] = [
  { rows: 64, columns: 16, depth: 16 },
  { rows: 64, columns: 16, depth: 16, width: 4 },
  { rows: 16, columns: 64, depth: 16 },
  { rows: 16, columns: 64, depth: 16, width: 4 },
  { rows: 32, columns: 32, depth: 16 },
  { rows: 64, columns: 64, depth: 16 },
  { rows: 64, columns: 64, depth: 16, width: 4 },
  { rows: 64, columns: 64, depth: 16, width: 4, slices: 2 },
  { rows: 128, columns: 64, depth: 16, width: 4 },
  { rows: 128, columns: 128, depth: 8 },
  { rows: 128, columns: 128, depth: 16, width: 4 },
  { rows: 128, columns: 128, depth: 8, width: 4, slices: 2 },
  { rows: 256, columns: 128, depth: 8, width: 4 },
];

/** Tiles worth measuring for a problem, the default among them. */
export function candidateTiles(problem: MatmulProblem): readonly MatmulTile[] {
  return problem.adapterClass === "cpu" ? registerTiles(problem) : workgroupTiles;
}

/** Whether a tile is a candidate for a problem; the kernels support no others. */
export function isCandidate(problem: MatmulProblem, tile: MatmulTile): boolean {
  return candidateTiles(problem).some((each) => tileName(each) === tileName(tile));
}

/** Whether a tile is a candidate for some product on some adapter. */
export function isTile(tile: MatmulTile): boolean {
  const adapters: Pick<MatmulProblem, "adapterClass" | "subgroupSize">[] = [
    { adapterClass: "gpu" },
    ...[4, 8, 16, 32].map((subgroupSize) => ({ adapterClass: "cpu" as const, subgroupSize })),
  ];
  return adapters.some((adapter) =>
    [1, 1000].some((n) =>
      [{ transposeB: false }, { transposeB: true }, { texels: true }].some((layout) =>
        isCandidate({ ...adapter, ...layout, n, m: 1000, k: 1, batch: 1, vecB: true }, tile)
      )
    )
  );
}

/**
 * The class of products that a measured tile applies to: the layout, and the range of the numbers of rows and columns. The
 * tile changes no bit of the result, so neither does the choice.
 */
export function shapeClass(problem: MatmulProblem): string {
  const { m, n, batch, transposeA, transposeB, texels, vecA, vecB, precisionB = "f32" } = problem;
  const layout = texels ? "texels" : `${transposeA ? "T" : "N"}${transposeB ? "T" : "N"}`;
  const size = (value: number) => [8, 16, 64, 512].find((limit) => value <= limit) ?? "large";
  const aligned = `${vecA ? "a" : "-"}${vecB ? "b" : "-"}${{ f32: "-", f16: "h", int8: "i" }[precisionB]}`;
  return `${layout} ${aligned} m ${size(m)} n ${size(n)} ${batch > 1 ? "batch" : "single"}`;
}

/** Multiply-adds of a tile that cost as much as one of the 16 × 16 tile, measured on Mesa's llvmpipe. */
const rates: Readonly<Record<string, number>> = {
  "16×24": 1.15,
  "24×32": 1.15,
  "16×8": 0.7,
  "8×8": 0.5,
  // With 16 lanes, against 16 × 32.
  "32×32": 1.27,
  "16×48": 1.14,
};

function cheapest({ m, n }: MatmulProblem, tiles: readonly MatmulTile[]): MatmulTile {
  const cost = ({ rows, columns }: MatmulTile) =>
    Math.ceil(m / rows) * rows * Math.ceil(n / columns) * columns / (rates[`${rows}×${columns}`] ?? 1);
  return tiles.reduce((best, each) => cost(each) < cost(best) ? each : best);
}

function registerTiles(problem: MatmulProblem): MatmulTile[] {
  const { n, texels = false, transposeB = false, vecB = false, subgroupSize } = problem;
  const lanes = lanesOf(problem);
  if (texels) return [24, 16].map((rows) => ({ rows, columns: 4 * lanes }));
  if (lanes !== subgroupSize) return [{ rows: 8, columns: n <= 8 ? 8 : 32 }];
  const columns = n <= lanes
    ? [lanes]
    : lanes === 4
    ? [16]
    : !transposeB && vecB && n > 2 * lanes
    ? [4 * lanes]
    : [2 * lanes, 3 * lanes];
  const wide = columns.includes(4 * lanes);
  const rows = [
    16,
    8,
    ...(lanes === 8 && wide ? [24] : []),
    ...(lanes === 16 && n > lanes && !wide ? [32] : []),
  ]
    .filter((count) => count % lanes === 0);
  return columns.flatMap((each) => rows.map((count) => ({ rows: count, columns: each })));
}

/** Threads of a workgroup of the register kernel: a whole subgroup if its size is known. */
export function lanesOf({ subgroupSize = 0 }: Pick<MatmulProblem, "subgroupSize">): number {
  return [4, 8, 16].includes(subgroupSize) ? subgroupSize : 8;
}
