import jacobiSource from "../../shaders/jacobi.wgsl";
import lanesSource from "../../shaders/lanes.wgsl";
import { f32Bits } from "../gpu/device.ts";
import { Kernel } from "../gpu/kernel.ts";
import { launch } from "../ops/launch.ts";
import { type Tensor, tensor } from "../tensor.ts";
import { extentsOf, laneConstants, type Rows } from "./_rows.ts";
import { ConvergenceError } from "./errors.ts";

const roundKernel = new Kernel({
  name: "jacobi_round",
  source: lanesSource + jacobiSource,
  bindings: ["write", "write"],
});

/** When {@linkcode orthogonalize} ends. */
export interface OrthogonalizeOptions {
  readonly maxSweeps: number;
  /** Largest |cosine| between two rows that counts as orthogonal. */
  readonly tolerance: number;
}

/** How {@linkcode orthogonalize} ended. */
export interface Orthogonalized {
  readonly sweeps: number;
  readonly largestCosine: number;
}

/**
 * Rotates the rows of each stack [N, n, stride], n a multiple of 4, until their first n elements are orthogonal; the rest
 * of the rows is rotated along. One readback a sweep.
 *
 * @throws {ConvergenceError} when `maxSweeps` don't suffice.
 */
export async function orthogonalize(rows: Rows, options: OrthogonalizeOptions): Promise<Orthogonalized> {
  const { maxSweeps, tolerance } = options;
  const batch = rows.shape[0]!;
  // What came before the first sweep is above any tolerance.
  const cosines = tensor(rows.gpu, new Uint32Array((maxSweeps + 1) * batch).fill(f32Bits(2), 0, batch));
  const limit = Math.fround(tolerance);
  const last = new Float32Array(batch).fill(2);
  try {
    for (let sweep = 1; sweep <= maxSweeps; sweep++) {
      recordSweep(rows, cosines, { sweep, tolerance });
      const { buffer } = cosines.storage;
      const found = new Float32Array(await rows.gpu.read(buffer, sweep * batch * 4, batch * 4));
      // A stack at rest reports nothing: what its last sweep met stands.
      for (let b = 0; b < batch; b++) if (last[b]! > limit) last[b] = found[b]!;
      const largestCosine = largestOf(last);
      if (largestCosine <= limit) return { sweeps: sweep, largestCosine };
    }
  } finally {
    cosines.dispose();
  }
  throw new ConvergenceError(
    `Cannot decompose: after ${maxSweeps} sweeps the largest cosine is ${
      largestOf(last)
    }, expected at most ${tolerance}`,
  );
}

function largestOf(values: Float32Array): number {
  return values.reduce((a, b) => Math.max(a, b));
}

function recordSweep(
  rows: Rows,
  cosines: Tensor,
  { sweep, tolerance }: { sweep: number; tolerance: number },
): void {
  const [batch, n, stride] = extentsOf(rows);
  const blocks = n / 2;
  const lanes = laneConstants[rows.gpu.adapter.class];
  for (let round = 0; round < blocks - 1; round++) {
    launch(roundKernel, {
      tensors: [rows, cosines],
      params: [blocks, n / 4, stride / 4, round, sweep, f32Bits(tolerance)],
      workgroups: [Math.ceil(blocks / 2 / lanes.GROUPS), 1, batch],
      constants: lanes,
    });
  }
}
