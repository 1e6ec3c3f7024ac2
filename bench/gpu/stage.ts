import type { Gpu } from "../../src/engine/mod.ts";
import type { Ceilings } from "./ceilings.ts";
import type { GpuRow } from "./row.ts";
import type { TorchPeer } from "./torch.ts";

/** What every stage is given. */
export interface StageContext {
  readonly gpu: Gpu;
  readonly ceilings: Ceilings;
  /** Undefined where there is no PyTorch. */
  readonly torch: TorchPeer | undefined;
  /** Whether PyTorch runs on CUDA. */
  readonly isCuda: boolean;
  /** Small sizes alone, to try the script. */
  readonly quick: boolean;
}

/** One part of the benchmark. */
export type Stage = (context: StageContext) => AsyncIterable<GpuRow>;

/** Uniform numbers in [0, 1) that depend on the seed alone, by xorshift: there are many to draw. */
export function uniformValues(count: number, seed: number): Float32Array {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = (state >>> 8) / 2 ** 24;
  }
  return values;
}

/** Share of the ceiling of multiply-adds by contender. */
export function flopShares(
  milliseconds: GpuRow["milliseconds"],
  flops: number,
  { flopsPerSecond }: Ceilings,
): Record<string, number> {
  return mapValues(milliseconds, (each) => flops / (each / 1000) / flopsPerSecond);
}

/** Share of the ceiling of copies by contender. */
export function byteShares(
  milliseconds: GpuRow["milliseconds"],
  bytes: number,
  { bytesPerSecond }: Ceilings,
): Record<string, number> {
  return mapValues(milliseconds, (each) => bytes / (each / 1000) / bytesPerSecond);
}

function mapValues(record: Readonly<Record<string, number>>, f: (value: number) => number) {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, f(value)]));
}
