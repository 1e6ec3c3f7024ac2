import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What one process of Python found. */
export interface NumpySvd {
  /** Milliseconds of each sample; the process times itself. */
  readonly samples: readonly number[];
  /** ‖A − U·S·Vᵀ‖_F / ‖A‖_F, in float64. */
  readonly error: number;
  readonly version: string;
}

// Singular value decomposition by LAPACK's sgesdd; the first call is not timed.
const program = `
import json, sys, time
import numpy as np
path, m, n, count = sys.argv[1], *map(int, sys.argv[2:])
a = np.fromfile(path, np.float32).reshape(m, n)
decompose = lambda: np.linalg.svd(a, full_matrices=False)
u, s, vt = decompose()
samples = []
for _ in range(count):
    start = time.perf_counter()
    decompose()
    samples.append(1000 * (time.perf_counter() - start))
u, s, vt, a = (x.astype(np.float64) for x in (u, s, vt, a))
error = np.linalg.norm(a - u * s @ vt) / np.linalg.norm(a)
print(json.dumps({"samples": samples, "error": float(error), "version": np.__version__}))
`;

/**
 * Decomposes a matrix in a process of `python3` of its own, as the engine does: f32, thin, all vectors.
 *
 * @throws when there is no Python, or no NumPy in it.
 */
export async function numpySvd(
  a: Float32Array,
  [m, n]: readonly [number, number],
  samples: number,
): Promise<NumpySvd> {
  const folder = await mkdtemp(join(tmpdir(), "federa-bench-"));
  try {
    const path = join(folder, "matrix");
    await writeFile(path, a);
    const { stdout } = await run("python3", ["-c", program, path, ...[m, n, samples].map(String)], {
      env: atItsBest(),
    });
    return JSON.parse(stdout) as NumpySvd;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The environment without what holds OpenBLAS to the kernels of older processors: a peer runs as fast as it can. */
function atItsBest(): NodeJS.ProcessEnv {
  const { OPENBLAS_CORETYPE: _type, OPENBLAS_L2_SIZE: _size, ...rest } = process.env;
  return rest;
}
