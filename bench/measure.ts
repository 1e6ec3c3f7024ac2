import { Bench } from "tinybench";
import type { Contender } from "./contender.ts";

const minSamples = 7;
const maxSamples = 41;
const budgetMilliseconds = 4000;

/** Options of {@linkcode measure}. */
export interface MeasureOptions {
  /** Untimed calls of each contender; 1 by default, 0 for those that have run already. */
  readonly warmUps?: number;
}

/**
 * Takes samples of several contenders in turn, A B C A B C …, so that whatever else the machine does meets all of them
 * alike: at least 7 of each, and more of short ones while 4 seconds last.
 *
 * @returns milliseconds by contender.
 */
export async function measure(
  contenders: readonly Contender[],
  { warmUps = 1 }: MeasureOptions = {},
): Promise<Record<string, number[]>> {
  const bench = new Bench({
    iterations: 1,
    time: 0,
    warmup: false,
    retainSamples: true,
    throws: true,
  });
  const samples: Record<string, number[]> = {};
  for (const { name, run } of contenders) {
    for (let i = 0; i < warmUps; i++) await run();
    bench.add(name, run, { async: true });
    samples[name] = [];
  }
  const start = performance.now();
  for (
    let i = 0;
    i < minSamples ||
    (i < maxSamples && performance.now() - start < budgetMilliseconds);
    i++
  ) {
    bench.reset();
    for (const task of await bench.run()) {
      const { result } = task;
      if (result.state !== "completed") {
        throw new Error(
          `Cannot time ${task.name}: the sample ended as ${result.state}`,
        );
      }
      samples[task.name]!.push(...result.latency.samples!);
    }
  }
  return samples;
}

/** The middle value, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(half)]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** The n-th root of the product. */
export function geometricMean(values: readonly number[]): number {
  return Math.exp(
    values.reduce((sum, value) => sum + Math.log(value), 0) / values.length,
  );
}
