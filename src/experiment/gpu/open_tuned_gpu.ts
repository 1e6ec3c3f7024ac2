import { CorruptFileError } from "../../data/mod.ts";
import { type Gpu, openGpu, tuningOf } from "../../engine/mod.ts";
import { describeAdapter } from "./describe_adapter.ts";
import type { Reporter } from "../report/reporter.ts";
import { readTuning } from "./tuning_file.ts";

/**
 * Opens the adapter with the tiles that `federa tune` measured on it, and reports both. A tuning file that can't be read is
 * reported and ignored, as results don't depend on it.
 *
 * @throws {NoAdapterError} when there is no GPU.
 */
export async function openTunedGpu(reporter: Reporter): Promise<Gpu> {
  const gpu = await openGpu();
  try {
    const tiles = await readTuning(gpu.adapter).catch((error) => {
      if (!(error instanceof CorruptFileError)) throw error;
      reporter.line(`${error.message}; continuing without it`);
      return new Map();
    });
    tuningOf(gpu).use(tiles);
    const note = tiles.size > 0 ? `, tuned for ${tiles.size} shapes of matrix products` : "";
    reporter.line(`Adapter: ${describeAdapter(gpu)}${note}`);
    return gpu;
  } catch (error) {
    gpu.close();
    throw error;
  }
}
