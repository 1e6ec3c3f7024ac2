import { type Gpu, zeros } from "../../src/engine/mod.ts";
import { f32Bits } from "../../src/engine/gpu/device.ts";
import { Kernel } from "../../src/engine/gpu/kernel.ts";
import { gridOf, launch } from "../../src/engine/ops/launch.ts";
import { full } from "../../src/engine/ops/create.ts";
import { median } from "../measure.ts";
import { settle } from "../settle.ts";
import multiplyAddSource from "../ceiling.wgsl";
import copySource from "./copy.wgsl";
import { ours, time } from "./timing.ts";

/** What an adapter can do at most. */
export interface Ceilings {
  /** Multiply-adds of f32, two operations each, a second. */
  readonly flopsPerSecond: number;
  /** Bytes read and written by a copy that fits no cache, a second. */
  readonly bytesPerSecond: number;
  /** Microseconds of a launch of one workgroup among many, each of which needs the one before. */
  readonly launchMicroseconds: number;
  /** Microseconds of the host for recording and submitting it. */
  readonly recordMicroseconds: number;
  /** Microseconds from asking for the end of an empty queue to its answer. */
  readonly waitMicroseconds: number;
}

const multiplyAdds = new Kernel({
  name: "multiply_adds",
  source: multiplyAddSource,
  bindings: ["write"],
});
const copy = new Kernel({ name: "copy", source: copySource, bindings: ["read", "write"] });

/** Chains of a thread and multiply-adds of each in the loop's body; which is best depends on the processor. */
const bodies = { cpu: [[6, 16], [6, 32]], gpu: [[4, 64], [8, 32], [16, 16]] } as const;

/** Measures them; about two seconds. */
export async function measureCeilings(gpu: Gpu, { quick = false } = {}): Promise<Ceilings> {
  return {
    flopsPerSecond: await measureFlops(gpu),
    bytesPerSecond: await measureCopies(gpu, quick),
    ...await measureLaunches(gpu),
  };
}

async function measureFlops(gpu: Gpu): Promise<number> {
  const isCpu = gpu.adapter.class === "cpu";
  const threads = isCpu ? 2 ** 13 : 2 ** 20;
  using sums = zeros(gpu, [threads]);
  let best = 0;
  for (const [CHAINS, STEPS] of bodies[gpu.adapter.class]) {
    const rounds = isCpu ? 64 : 128;
    const { milliseconds } = await time([
      ours(gpu, () =>
        launch(multiplyAdds, {
          tensors: [sums],
          params: [rounds, f32Bits(0.999), f32Bits(0.001)],
          threads,
          constants: { CHAINS, STEPS },
        })),
    ], { seconds: 0.4 });
    best = Math.max(best, 2 * CHAINS * STEPS * rounds * threads / milliseconds["federa"]! * 1000);
  }
  return best;
}

async function measureCopies(gpu: Gpu, quick: boolean): Promise<number> {
  const wanted = quick || gpu.adapter.class === "cpu" ? 2 ** 26 : 2 ** 29;
  const bytes = Math.min(wanted, 2 ** Math.floor(Math.log2(gpu.maxBindingBytes)));
  using x = full(gpu, [bytes / 4], 1);
  using y = full(gpu, [bytes / 4], 0);
  let best = 0;
  for (const VECTORS of [1, 4]) {
    const { milliseconds } = await time([
      ours(gpu, () =>
        launch(copy, {
          tensors: [x, y],
          params: [bytes / 16],
          workgroups: gridOf(Math.ceil(bytes / 16 / 256 / VECTORS)),
          constants: { VECTORS },
        })),
    ], { seconds: 0.4 });
    best = Math.max(best, 2 * bytes / milliseconds["federa"]! * 1000);
  }
  return best;
}

async function measureLaunches(gpu: Gpu) {
  using x = full(gpu, [4], 1);
  using y = full(gpu, [4], 0);
  const count = 1000;
  // The next reads what this one writes.
  const record = () => {
    for (let i = 0; i < count; i++) {
      launch(copy, {
        tensors: i % 2 === 0 ? [x, y] : [y, x],
        params: [1],
        workgroups: [1, 1, 1],
        constants: { VECTORS: 1 },
      });
    }
  };
  const samples: { record: number; all: number; wait: number }[] = [];
  for (let i = 0; i < 7; i++) {
    await settle(gpu);
    const start = performance.now();
    await settle(gpu);
    const waited = performance.now();
    record();
    gpu.flush();
    const recorded = performance.now();
    await settle(gpu);
    const end = performance.now();
    samples.push({ wait: waited - start, record: recorded - waited, all: end - waited });
  }
  const of = (name: "record" | "all" | "wait") => median(samples.map((each) => each[name]));
  return {
    launchMicroseconds: 1000 * of("all") / count,
    recordMicroseconds: 1000 * of("record") / count,
    waitMicroseconds: 1000 * of("wait"),
  };
}
