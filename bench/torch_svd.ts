import { execFile } from "node:child_process";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A matrix [m, n] on the host. */
export interface HostMatrix {
  readonly shape: readonly [number, number];
  readonly values: Float32Array;
}

/** Options of {@linkcode torchStart}. */
export interface TorchStartOptions {
  readonly rank: number;
  /** Columns of the sketch. */
  readonly width: number;
  readonly powerIterations: number;
  readonly samples: number;
  /** A Python that has PyTorch; `python3` by default. */
  readonly python?: string | undefined;
}

/** What one process of Python found. */
export interface TorchStart {
  /** Milliseconds of each sample over all matrices; the process times itself. */
  readonly samples: readonly number[];
  /** Milliseconds of processor time, user and system, of each sample. */
  readonly cpu: readonly number[];
  /** ‖W − B·A‖_F of each matrix. */
  readonly errors: readonly number[];
  readonly version: string;
}

// FeDeRA's start by torch.svd_lowrank: both factors and the residual weight of every matrix. The first round is not timed.
const program = `
import json, sys, time
import numpy as np, torch
path, shapes, rank, width, iterations, count = sys.argv[1], json.loads(sys.argv[2]), *map(int, sys.argv[3:])
torch.manual_seed(0)
data, weights, at = torch.from_numpy(np.fromfile(path, np.float32)), [], 0
for m, n in shapes:
    weights.append(data[at:at + m * n].reshape(m, n))
    at += m * n
def start(w):
    u, s, v = torch.svd_lowrank(w, q=width, niter=iterations)
    root = s[:rank].sqrt()
    b, a = u[:, :rank] * root, (v[:, :rank] * root).T.contiguous()
    return b, a, torch.addmm(w, b, a, alpha=-1)
with torch.no_grad():
    errors = [float(start(w)[2].double().norm()) for w in weights]
    samples, cpu = [], []
    for _ in range(count):
        wall, own = time.perf_counter(), time.process_time()
        kept = [start(w) for w in weights]
        samples.append(1000 * (time.perf_counter() - wall))
        cpu.append(1000 * (time.process_time() - own))
        del kept
print(json.dumps({"samples": samples, "cpu": cpu, "errors": errors, "version": torch.__version__}))
`;

/**
 * Starts adapters from the leading singular triplets of every matrix in a process of Python, as FeDeRA does here: f32, both
 * factors, and what is left of the weight.
 *
 * @throws when there is no Python, or no PyTorch in it.
 */
export async function torchStart(
  matrices: readonly HostMatrix[],
  { rank, width, powerIterations, samples, python = "python3" }: TorchStartOptions,
): Promise<TorchStart> {
  const folder = await mkdtemp(join(tmpdir(), "federa-bench-"));
  try {
    const path = join(folder, "matrices");
    const file = await open(path, "w");
    try {
      for (const { values } of matrices) await file.write(values);
    } finally {
      await file.close();
    }
    const shapes = JSON.stringify(matrices.map(({ shape }) => shape));
    const numbers = [rank, width, powerIterations, samples].map(String);
    const { stdout } = await run(python, ["-c", program, path, shapes, ...numbers], { maxBuffer: 2 ** 24 });
    return JSON.parse(stdout) as TorchStart;
  } finally {
    await rm(folder, { recursive: true });
  }
}
