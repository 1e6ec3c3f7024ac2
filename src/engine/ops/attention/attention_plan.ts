import type { KernelConstant } from "../../gpu/kernel.ts";

/** Attentions of equal size, one for each head of each sequence, and the adapter that will run them. */
export interface AttentionProblem {
  /** Rows of Q. */
  readonly queries: number;
  /** Rows of K and V. */
  readonly keys: number;
  /** Columns of a head. */
  readonly headSize: number;
  /** Heads of all sequences. */
  readonly matrices: number;
  /** A software rasteriser, or a real GPU. */
  readonly adapterClass: "cpu" | "gpu";
  /** Lanes of a subgroup, if the device supports subgroups and the adapter has only this size; otherwise leave it out. */
  readonly subgroupSize?: number;
  /** The device's `maxComputeWorkgroupsPerDimension`; the guaranteed 65535 by default. */
  readonly maxWorkgroups?: number;
}

/** How to launch one kernel of fused attention. */
export interface AttentionLaunch {
  readonly constants: Readonly<Record<string, KernelConstant>>;
  /** The grid: one workgroup for each tile of rows of a head, folded into y when x is full. */
  readonly workgroups: readonly [number, number, number];
}

/** Three matrix products and a softmax, with all scores in memory. */
export interface PlainAttentionPlan {
  readonly path: "plain";
}

/** Kernels that never hold all scores. */
export interface FusedAttentionPlan {
  readonly path: "fused";
  /** Which of `attention_register*.wgsl` and `attention_workgroup*.wgsl`. */
  readonly shader: "register" | "workgroup";
  readonly forward: AttentionLaunch;
  /** Gradient by Q. */
  readonly queries: AttentionLaunch;
  /** Gradient by K and V. */
  readonly keys: AttentionLaunch;
}

/** What {@linkcode planAttention} chooses. */
export type AttentionPlan = PlainAttentionPlan | FusedAttentionPlan;

/**
 * Chooses between plain and fused attention, and the tiles of the latter.
 *
 * | adapter | head sizes that are fused |
 * |---|---|
 * | CPU, subgroups of 4, 8 or 16 | multiples of 8 from 16 to 64; above, the plain path was faster |
 * | CPU, no known subgroups | none |
 * | GPU | multiples of 4 from 16 to 128 (not timed) |
 *
 * The two round differently, so the choice depends only on the head size and the adapter, never on the lengths: a sequence
 * with more padding takes the same path. Tiles may depend on the lengths, as every row is computed on its own.
 *
 * @throws {RangeError} The grid does not fit into two dimensions.
 *
 * @example
 * ```ts
 * import { planAttention } from "./attention_plan.ts";
 *
 * planAttention({ queries: 64, keys: 64, headSize: 20, matrices: 12, adapterClass: "cpu" }).path; // "plain"
 * ```
 */
export function planAttention(problem: AttentionProblem): AttentionPlan {
  const { queries, keys, headSize, adapterClass, subgroupSize = 0 } = problem;
  const isCpu = adapterClass === "cpu";
  if (headSize < 16 || headSize > (isCpu ? 64 : 128) || headSize % 4 !== 0) return { path: "plain" };
  const tile = (length: number, block: number) =>
    isCpu ? registerTile(length, headSize, subgroupSize) : workgroupTile(headSize, block);
  const [forward, gradient, keyGradient] = [tile(queries, 8), tile(queries, 4), tile(keys, 4)];
  if (!forward || !gradient || !keyGradient) return { path: "plain" };
  return {
    path: "fused",
    shader: isCpu ? "register" : "workgroup",
    forward: spread(queries, problem, forward),
    queries: spread(queries, problem, gradient),
    keys: spread(keys, problem, keyGradient),
  };
}

interface Tile {
  readonly rows: number;
  readonly constants: Readonly<Record<string, number>>;
}

/**
 * One subgroup for each workgroup. With more rows for each lane, more of them share a load; with more rows in a block, more
 * of them share the update of a sum. Both lengthen the unrolled code, which must fit the instruction cache. Which rows form
 * a block changes the bits, so it doesn't depend on the length.
 */
function registerTile(length: number, headSize: number, lanes: number): Tile | undefined {
  const chunks = headSize / 4;
  const block = ![4, 8, 16].includes(lanes)
    ? undefined
    : [2, 4, 8].find((each) =>
      (each > 2 || headSize > 32) && lanes % each === 0 && chunks % (lanes / each) === 0
    );
  if (block === undefined) return undefined;
  const most = headSize * block <= 128 ? 4 : headSize * block <= 256 ? 2 : 1;
  const rows = most > 1 && length <= most / 2 * lanes ? most / 2 : most;
  const parts = lanes / block;
  const constants = {
    LANES: lanes,
    ROWS: rows,
    BLOCK: block,
    PARTS: parts,
    LOADS: chunks / parts,
    CHUNKS: chunks,
  };
  return { rows: rows * lanes, constants };
}

/** At most 256 threads and 16 KiB of workgroup memory, which every device allows; several threads share a row. */
function workgroupTile(headSize: number, block: number): Tile {
  const chunks = headSize / 4;
  const slice = [2, 3, 5].find((each) => chunks % each === 0) ?? 1;
  const slices = chunks / slice;
  const rows = Math.floor(256 / slices);
  return {
    rows,
    constants: { ROWS: rows, SLICES: slices, SLICE: slice, BLOCK: block, CHUNKS: chunks },
  };
}

function spread(length: number, problem: AttentionProblem, { rows, constants }: Tile): AttentionLaunch {
  const { matrices, maxWorkgroups = 65535 } = problem;
  const total = Math.ceil(length / rows) * matrices;
  const x = Math.min(total, maxWorkgroups);
  const y = total === 0 ? 0 : Math.ceil(total / x);
  if (y > maxWorkgroups || x * y >= 2 ** 32) {
    throw new RangeError(
      `Cannot plan attention: ${total} workgroups are needed, got ${maxWorkgroups} a dimension`,
    );
  }
  return { constants, workgroups: [x, y, 1] };
}
