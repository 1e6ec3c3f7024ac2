import { prepareOwnStep } from "../../lora/federa.ts";
import { createProblem, type LoraStep, miniLm } from "../../lora/problem.ts";
import type { Gpu } from "../../../src/engine/mod.ts";
import type { Ceilings } from "../ceilings.ts";
import { encoderArrays, pythonConfig } from "../encoders.ts";
import { type Check, type GpuRow, relativeDifference } from "../row.ts";
import type { StageContext } from "../stage.ts";
import { ours, time, torchContenders } from "../timing.ts";

const rank = 8;
/** As in the suite `lora_step`. */
const tolerance = 1e-3;
/** Kernels of a profile that are reported. */
const kernelsShown = 12;

/** One LoRA step of a MiniLM-shaped encoder, and where its time goes. */
export async function* loraStepStage(context: StageContext): AsyncIterable<GpuRow> {
  const { gpu, torch, isCuda, ceilings, quick } = context;
  const sizes = quick ? [{ batch: 2, length: 32 }] : [{ batch: 16, length: 64 }, { batch: 128, length: 64 }];
  for (const size of sizes) {
    const problem = createProblem(quick ? { ...miniLm, numHiddenLayers: 1 } : miniLm, { ...size, rank });
    const own = prepareOwnStep(gpu, problem);
    try {
      const program = await torch?.prepare(
        "lora_step",
        encoderArrays({ ...problem, texts: problem }),
        {
          config: pythonConfig(problem.config),
          ...{ rank, alpha: rank * problem.scaling, optimizer: "adamw", learningRate: problem.learningRate },
          targets: ["query", "key", "value", "attention.output.dense"],
        },
      );
      const checks: Check[] = [];
      // The second step's numbers depend on what the optimiser made of the first.
      for (const which of ["first", "second"]) {
        const found = await own.inspect();
        if (program === undefined) continue;
        const expected = await program.result();
        const loss = expected.get("loss")![0]!;
        checks.push({
          what: `relative difference of the ${which} loss from PyTorch's`,
          found: Math.abs(found.loss - loss) / Math.abs(loss),
          allowed: tolerance,
        }, {
          what: `largest relative difference of a gradient of the ${which} step`,
          found: largestDifference(found.gradients, expected),
          allowed: tolerance,
        });
      }
      const timed = await time([
        ours(gpu, () => own.record()),
        ...torchContenders(program, isCuda),
      ], { seconds: 4 });
      const profile = await profileStep(gpu, own, ceilings);
      await program?.release();
      yield {
        name: `MiniLM, B ${size.batch}, T ${size.length}, rank ${rank}`,
        ...timed,
        checks,
        ...profile,
      };
    } finally {
      own.dispose();
    }
  }
}

function largestDifference(
  found: ReadonlyMap<string, Float32Array>,
  expected: ReadonlyMap<string, Float32Array>,
): number {
  return [...found].reduce(
    (largest, [name, each]) => Math.max(largest, relativeDifference(each, expected.get(name) ?? [])),
    0,
  );
}

/** The kernels of one step on the GPU's clock, beside what the ceilings say that they need at least. */
async function profileStep(
  gpu: Gpu,
  step: LoraStep,
  ceilings: Ceilings,
): Promise<Pick<GpuRow, "notes" | "figures">> {
  if (!gpu.device.features.has("timestamp-query")) return { notes: ["no timestamps on this adapter"] };
  const profiler = gpu.profile();
  await step.run();
  const { kernels, milliseconds, calls } = await profiler.stop();
  const products = kernels.filter(({ kernel }) => kernel.startsWith("matmul"));
  const sum = (values: readonly number[]) => values.reduce((total, each) => total + each, 0);
  const flops = sum(products.map((each) => each.flops ?? 0));
  const others = kernels.filter((each) => !products.includes(each));
  const bytes = sum(others.map((each) => each.bytes));
  const productMs = sum(products.map((each) => each.milliseconds));
  const otherMs = sum(others.map((each) => each.milliseconds));
  const figures = kernels.slice(0, kernelsShown).map((each) => ({
    ...each,
    flopShare: each.flops === null ? null : each.flops / (each.milliseconds / 1000) / ceilings.flopsPerSecond,
    byteShare: each.bytes / (each.milliseconds / 1000) / ceilings.bytesPerSecond,
  }));
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
  return {
    notes: [
      `kernels alone ${milliseconds.toFixed(3)} ms in ${calls} launches, which cost ${
        (calls * ceilings.launchMicroseconds / 1000).toFixed(2)
      } ms at least`,
      `products ${productMs.toFixed(3)} ms, ${
        percent(flops / (productMs / 1000) / ceilings.flopsPerSecond)
      } of multiply-adds`,
      `the rest ${otherMs.toFixed(3)} ms, ${
        percent(bytes / (otherMs / 1000) / ceilings.bytesPerSecond)
      } of copies`,
    ],
    figures: { flops, bytes, kernels: figures },
  };
}
