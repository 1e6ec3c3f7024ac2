import { openGpu, tilesOf, type TunedClass, tuneMatmul, tuningOf } from "../engine/mod.ts";
import type { Config } from "../experiment/config/config.ts";
import { describeAdapter } from "../experiment/gpu/describe_adapter.ts";
import { prepareExperiment } from "../experiment/run/experiment.ts";
import { trainFirstBlock } from "../experiment/run/first_block.ts";
import type { LoadOptions } from "../experiment/data/load_data.ts";
import { type Column, formatTable } from "./tables/table.ts";
import { writeTuning } from "../experiment/gpu/tuning_file.ts";

/**
 * Measures the tiles of the matrix products that a configuration's first method starts and trains by, and keeps the
 * fastest for later runs on this adapter. Results don't change by it, to the bit.
 *
 * @throws {NoAdapterError} when there is no GPU.
 */
export async function tune(
  config: Config,
  options: LoadOptions & { readonly seconds: number },
): Promise<void> {
  using gpu = await openGpu();
  const { reporter, signal, seconds } = options;
  reporter.line(`Adapter: ${describeAdapter(gpu)}`);
  const experiment = await prepareExperiment(config, gpu, options);
  const problems = await tuningOf(gpu).observe(async () => {
    await trainFirstBlock(experiment, config.methods[0]!, { steps: 1 });
  });
  try {
    const classes = await tuneMatmul(gpu, problems, {
      seconds,
      signal,
      onProgress: (done, total) => reporter.progress("tuning", done, total),
    });
    reporter.endProgress();
    reporter.line(`\n${formatTable(classes, columns)}`);
    const left = classes.filter(({ measured }) => measured.length === 0).length;
    if (left > 0) {
      reporter.line(`\nNo time was left for ${left} of ${classes.length} shapes: raise --seconds`);
    }
    reporter.line(`\nKept in ${await writeTuning(gpu.adapter, tilesOf(classes))}`);
  } finally {
    reporter.endProgress();
  }
}

const columns: readonly Column<TunedClass>[] = [
  {
    title: "product",
    cell: ({ problem: { m, n, k, batch, transposeA, transposeB } }) => {
      const a = transposeA ? `[${k}×${m}]ᵀ` : `[${m}×${k}]`;
      const b = transposeB ? `[${n}×${k}]ᵀ` : `[${k}×${n}]`;
      return `${batch > 1 ? `${batch} × ` : ""}${a}·${b}`;
    },
  },
  { title: "default ms", cell: ({ measured }) => measured[0]?.milliseconds.toFixed(2) ?? "–" },
  {
    title: "best ms",
    cell: ({ measured, tile }) => measured.find((each) => each.tile === tile)?.milliseconds.toFixed(2) ?? "–",
  },
  { title: "tile", cell: ({ tile: { rows, columns } }) => `${rows}×${columns}` },
];
