import { type Gpu, zeros } from "../src/engine/mod.ts";
import { f32Bits } from "../src/engine/gpu/device.ts";
import { Kernel } from "../src/engine/gpu/kernel.ts";
import { launch } from "../src/engine/ops/launch.ts";
import source from "./ceiling.wgsl";
import type { Contender } from "./contender.ts";
import { settle } from "./settle.ts";

const kernel = new Kernel({ name: "ceiling", source, bindings: ["write"] });
const chains = 10;
const steps = 16;
const wantedMilliseconds = 10;

/** The contender `ceiling` and how many floating-point operations it does. */
export interface Ceiling extends Contender {
  readonly flops: number;
}

/**
 * A kernel of independent multiply-add chains in registers, sized so that it takes about 10 ms: no product of matrices can
 * be faster than this on the same adapter.
 */
export async function createCeiling(gpu: Gpu): Promise<Ceiling> {
  const threads = gpu.adapter.class === "cpu" ? 2 ** 14 : 2 ** 18;
  const sums = zeros(gpu, [threads]);
  const run = async (rounds: number) => {
    const params = [rounds, f32Bits(0.999), f32Bits(0.001)];
    launch(kernel, {
      tensors: [sums],
      params,
      threads,
      constants: { CHAINS: chains, STEPS: steps },
    });
    await settle(gpu);
  };
  let rounds = 2;
  for (
    let milliseconds = 0;
    milliseconds < wantedMilliseconds && rounds < 2 ** 24;
    rounds *= 2
  ) {
    await run(rounds);
    const start = performance.now();
    await run(rounds);
    milliseconds = performance.now() - start;
  }
  return {
    name: "ceiling",
    flops: 2 * chains * steps * rounds * threads,
    run: () => run(rounds),
  };
}
