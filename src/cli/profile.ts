import type { Config } from "../experiment/config/config.ts";
import { prepareExperiment } from "../experiment/run/experiment.ts";
import type { LoadOptions } from "../experiment/data/load_data.ts";
import { openTunedGpu } from "../experiment/gpu/open_tuned_gpu.ts";
import { profileSteps, type StepProfile } from "../experiment/run/profile_steps.ts";

/**
 * Measures what a local training step of the first method of a configuration costs, for its first block, and where the
 * time goes.
 *
 * @throws {NoAdapterError} when there is no GPU.
 * @throws {MissingFeatureError} when it has no timestamp queries.
 */
export async function profile(
  config: Config,
  options: LoadOptions & { readonly steps: number },
): Promise<StepProfile> {
  const { reporter, signal, steps } = options;
  using gpu = await openTunedGpu(reporter);
  // Before anything is downloaded, so that a device that cannot profile is refused at once.
  await gpu.profile().stop();
  const experiment = await prepareExperiment(config, gpu, options);
  try {
    return await profileSteps(experiment, config.methods[0]!, {
      steps,
      onStep(done, total) {
        signal?.throwIfAborted();
        reporter.progress("profiling", done, total);
      },
    });
  } finally {
    reporter.endProgress();
  }
}
