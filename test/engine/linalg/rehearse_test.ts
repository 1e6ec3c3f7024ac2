import assert from "node:assert/strict";
import { test } from "node:test";
import { Gpu } from "../../../src/engine/gpu/device.ts";
import { jacobiSvd, lowRankSvd, qr, randomizedSvd } from "../../../src/engine/linalg/mod.ts";
import { Tensor, tensor } from "../../../src/engine/tensor.ts";
import { disposeAll } from "../../../src/engine/tidy.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";
import { testGpu } from "../harness.ts";

const { device, adapter } = await testGpu();

const draw = (gpu: Gpu, shape: number[]) => tensor(gpu, gaussian(shape, new Random(1)).toF32(), { shape });
const decompositions: Record<string, (gpu: Gpu) => Promise<object>> = {
  qr: (gpu) => qr(draw(gpu, [90, 70])),
  jacobiSvd: (gpu) => jacobiSvd(draw(gpu, [90, 70])),
  randomizedSvd: (gpu) => randomizedSvd(draw(gpu, [90, 70]), { rank: 3 }),
  lowRankSvd: (gpu) => lowRankSvd({ b: draw(gpu, [90, 33]), a: draw(gpu, [33, 70]) }, { rank: 8 }),
};

for (const [name, decompose] of Object.entries(decompositions)) {
  test(`${name}() can be rehearsed, and takes no more than its rehearsal does`, async () => {
    const gpu = new Gpu(device, adapter, 2 ** 28);
    const run = async () =>
      disposeAll(Object.values(await decompose(gpu)).filter((value) => value instanceof Tensor));
    const foretold = await gpu.rehearse(run);
    await run();
    const { peakBytes } = gpu.stats();
    // A rehearsal reads zeros, of which the missing vectors are completed too.
    assert.ok(peakBytes <= foretold && foretold <= 2 * peakBytes, `${foretold} for ${peakBytes}`);
    gpu.trim();
  });
}
