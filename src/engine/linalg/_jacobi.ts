import { f32Bits } from "../gpu/device.ts";
import { launch } from "../ops/launch.ts";
import { type Tensor, tensor } from "../tensor.ts";
import { extentsOf, type Rows } from "./_rows.ts";
import { ConvergenceError } from "./errors.ts";
import type { Tournament } from "./tournament.ts";

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
 * Sweeps before the first readback. Fewer are rarely enough. A sweep over a stack that has converged costs only its
 * launches, which for a short stack is less than a readback.
 */
function firstSweeps(rows: number): number {
  return rows <= 64 ? 8 : 5;
}

/**
 * Rotates the rows of each stack [N, n, stride], n that of the tournament, until their first n elements are orthogonal; the
 * rest of each row is rotated along. After the first few sweeps there is one readback for each sweep, for all stacks.
 *
 * @throws {ConvergenceError} when `maxSweeps` don't suffice.
 */
export async function orthogonalize(
  rows: Rows,
  tournament: Tournament,
  { maxSweeps, tolerance }: OrthogonalizeOptions,
): Promise<Orthogonalized> {
  const [batch, count] = extentsOf(rows);
  // What came before the first sweep is above any tolerance.
  const cosines = tensor(rows.gpu, new Uint32Array((maxSweeps + 1) * batch).fill(f32Bits(2), 0, batch));
  const limit = Math.fround(tolerance);
  const last = new Float32Array(batch).fill(2);
  try {
    for (let done = 0; done < maxSweeps;) {
      const end = Math.min(maxSweeps, Math.max(firstSweeps(count), done + 1));
      for (let sweep = done + 1; sweep <= end; sweep++) {
        recordSweep(rows, cosines, { ...tournament, sweep, tolerance });
      }
      const { buffer } = cosines.storage;
      const bytes = await rows.gpu.read(buffer, (done + 1) * batch * 4, (end - done) * batch * 4);
      const found = new Float32Array(bytes);
      for (let first = 0; done < end; first += batch) {
        done++;
        // A stack that has converged reports nothing: the result of its last sweep stands.
        for (let b = 0; b < batch; b++) if (last[b]! > limit) last[b] = found[first + b]!;
        const largestCosine = largestOf(last);
        if (largestCosine <= limit) return { sweeps: done, largestCosine };
      }
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
  { kernel, constants, block, groups, inner, sweep, tolerance }: Tournament & {
    sweep: number;
    tolerance: number;
  },
): void {
  const [batch, n, stride] = extentsOf(rows);
  const blocks = n / block;
  const run = (turn: number, split: number) =>
    launch(kernel, {
      tensors: [rows, cosines],
      params: [blocks, n / 4, stride / 4, turn, sweep, f32Bits(tolerance), split],
      workgroups: [Math.ceil(blocks / 2 / groups), 1, batch],
      constants,
    });
  for (let split = 0; split < inner; split++) run(0, split);
  for (let turn = 0; turn < blocks - 1; turn++) run(turn, inner);
}
