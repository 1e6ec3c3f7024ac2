import type { Gpu } from "../../src/engine/mod.ts";
import { median } from "../measure.ts";
import { settle } from "../settle.ts";
import type { GpuRow } from "./row.ts";
import type { TorchProgram } from "./torch.ts";

/** A way of doing the work of a row, timed by itself. */
export interface Timed {
  readonly name: string;
  /** Does the work `count` times, waits for the end of the last, and returns the milliseconds of all. */
  run(count: number): Promise<number>;
}

/** Options of {@linkcode time}. */
export interface TimeOptions {
  /** No new round of samples begins after this; each contender has one sample in any case. 4 by default. */
  readonly seconds?: number;
  /** Length that a sample should have, so that the wait at its end counts little; 40 by default. */
  readonly sampleMilliseconds?: number;
}

const maxSamples = 9;
const maxCalls = 4000;

/** Takes samples of several contenders in turn and returns the medians of one call. */
export async function time(
  contenders: readonly Timed[],
  { seconds = 4, sampleMilliseconds = 40 }: TimeOptions = {},
): Promise<Pick<GpuRow, "milliseconds" | "samples">> {
  const start = performance.now();
  const isOver = () => performance.now() - start > 1000 * seconds;
  const prepared: { name: string; count: number; run: Timed["run"]; samples: number[] }[] = [];
  for (const { name, run } of contenders) {
    // The first call compiles; a call among many costs less than one alone, so the count is found in two steps.
    let [count, last] = [1, await run(1)];
    for (const share of [0.1, 1]) {
      if (last > 1000 * seconds / 4) break;
      last = await run(count);
      count = Math.min(maxCalls, Math.max(1, Math.ceil(share * sampleMilliseconds * count / last)));
    }
    prepared.push({ name, count, run, samples: [] });
  }
  for (let i = 0; i < maxSamples && (i === 0 || !isOver()); i++) {
    for (const { count, run, samples } of prepared) samples.push(await run(count) / count);
  }
  return {
    milliseconds: Object.fromEntries(prepared.map(({ name, samples }) => [name, median(samples)])),
    samples: Object.fromEntries(prepared.map(({ name, samples }) => [name, samples.length])),
  };
}

/** This project's contender. */
export function ours(gpu: Gpu, work: () => void | Promise<void>, name = "federa"): Timed {
  return {
    name,
    run: async (count) => {
      const start = performance.now();
      for (let i = 0; i < count; i++) {
        const pending = work();
        if (pending !== undefined) await pending;
      }
      await settle(gpu);
      return performance.now() - start;
    },
  };
}

/** PyTorch's contenders: in f32, and on CUDA with TF32 too. */
export function torchContenders(program: TorchProgram | undefined, isCuda: boolean): Timed[] {
  if (program === undefined) return [];
  return [
    { name: "torch", run: (count) => program.run(count, false) },
    ...(isCuda ? [{ name: "torch tf32", run: (count: number) => program.run(count, true) }] : []),
  ];
}
