import { type Gpu, zeros } from "../src/engine/mod.ts";
import { Kernel } from "../src/engine/gpu/kernel.ts";
import { type Bindable, launch } from "../src/engine/ops/launch.ts";
import source from "./loads.wgsl";
import type { Contender } from "./contender.ts";
import { settle } from "./settle.ts";

const kernels = {
  texels: new Kernel({ name: "loads", source, bindings: ["read texels", "write"] }),
  buffer: new Kernel({ name: "loads", source, bindings: ["read", "write"] }),
};
const chains = 4;
const steps = 8;
const wantedMilliseconds = 10;

/** The contender `loads` and how many f32 it loads. */
export interface Loads extends Contender {
  readonly floats: number;
}

/**
 * A kernel that does little but load from the nearest cache, four f32 at a time, sized so that it takes about 10 ms; undefined on a
 * GPU, where products read workgroup memory. It loads from texels where products do. No product can load faster on the same adapter.
 */
export async function createLoads(gpu: Gpu): Promise<Loads | undefined> {
  const { class: adapterClass, readsTexels = false, subgroupSize = 8 } = gpu.adapter;
  if (adapterClass !== "cpu") return undefined;
  const places = 2 * subgroupSize * chains * steps;
  const operand = readsTexels ? texelsOf(gpu, 16 * places) : zeros(gpu, [4 * places]);
  const threads = 2 ** 12;
  const sums = zeros(gpu, [threads]);
  const run = async (rounds: number) => {
    launch(readsTexels ? kernels.texels : kernels.buffer, {
      tensors: [operand, sums],
      params: [rounds, places],
      workgroups: [threads / subgroupSize, 1, 1],
      constants: { LANES: subgroupSize, CHAINS: chains, STEPS: steps, TEXELS: readsTexels },
    });
    await settle(gpu);
  };
  let rounds = 2;
  for (let milliseconds = 0; milliseconds < wantedMilliseconds && rounds < 2 ** 24; rounds *= 2) {
    await run(rounds);
    const start = performance.now();
    await run(rounds);
    milliseconds = performance.now() - start;
  }
  return { name: "loads", floats: 4 * chains * steps * rounds * threads, run: () => run(rounds) };
}

function texelsOf(gpu: Gpu, bytes: number): Bindable {
  const texels = gpu.acquireTexels(bytes);
  if (texels === undefined) throw new RangeError(`Cannot hold ${bytes} bytes in texels`);
  return { gpu, range: { buffer: texels, offset: 0, bytes: texels.bytes } };
}
