import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { methodLabel } from "../src/experiment/config/config.ts";
import { demoBase, demoMethods, learningRateGrid } from "../src/cli/demo/demo.ts";
import { type Experiment, prepareExperiment, simulateMethod } from "../src/experiment/run/experiment.ts";
import { parseConfig } from "../src/experiment/config/parse_config.ts";
import { createReporter } from "../src/cli/terminal/reporter.ts";
import { writeFileAtomic } from "../src/data/mod.ts";
import { openGpu } from "../src/engine/mod.ts";
import { disposeOwn } from "../src/fl/mod.ts";
import type { Scores } from "../src/tasks/mod.ts";

/** Validation scores of the global model after the last round. */
type FinalScores = Scores & { readonly loss: number };
/** A learning rate and what it led to. */
type Trial = FinalScores & { readonly learningRate: number };

const OUTPUT = fileURLToPath(new URL("../src/cli/demo/demo_tuning.ts", import.meta.url));

/**
 * Tries every learning rate of the demonstration's grid with each of its methods, on the validation set, and writes the
 * scores and the choice beside the demonstration's configuration. The test set is never looked at.
 */
async function tune(): Promise<void> {
  const methods = demoMethods.flatMap((method) =>
    learningRateGrid.map((learningRate) => ({ method, learningRate, label: `${method}-${learningRate}` }))
  );
  const config = parseConfig({ ...demoBase, methods, evaluateOn: "validation", evaluateEvery: 0 });
  using gpu = await openGpu();
  const reporter = createReporter(process.stdout);
  const experiment = await prepareExperiment(config, gpu, { reporter });
  const trials = new Map<string, Trial[]>(demoMethods.map((method) => [method, []]));
  for (const method of config.methods) {
    const trial = { learningRate: method.learningRate, ...await finalScores(experiment, method) };
    reporter.line(`${methodLabel(method)}: ${JSON.stringify(trial)}`);
    trials.get(method.method)!.push(trial);
  }
  await writeTuning(trials);
}

async function finalScores(
  experiment: Experiment,
  method: Experiment["config"]["methods"][number],
): Promise<FinalScores> {
  let scores: FinalScores | null = null;
  for await (const event of simulateMethod(experiment, method)) {
    if (event.type === "round" && event.report.test) {
      const { loss, scores: found } = event.report.test;
      scores = { loss, ...found };
    }
    if (event.type === "finished") disposeOwn(event.model, experiment.pretrained);
  }
  return scores!;
}

/** The trial with the best macro-F1; of equals the one with the smallest loss. */
function best(trials: readonly Trial[]): Trial {
  return [...trials].sort((a, b) => b["macroF1"]! - a["macroF1"]! || a.loss - b.loss)[0]!;
}

async function writeTuning(trials: ReadonlyMap<string, readonly Trial[]>): Promise<void> {
  const tuning = Object.fromEntries(
    [...trials].map(([method, all]) => [method, { best: best(all).learningRate, trials: all }]),
  );
  await writeFileAtomic(
    OUTPUT,
    `/**
 * Validation scores of the demonstration's methods after its rounds, by learning rate, and the rate with the best macro-F1.
 * Written by \`scripts/tune_demo.ts\`.
 */
export const demoTuning = ${JSON.stringify(tuning, null, 2)};
`,
  );
  execFileSync(process.execPath, [createRequire(import.meta.url).resolve("deno/bin.cjs"), "fmt", OUTPUT]);
}

await tune();
