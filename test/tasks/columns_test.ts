import assert from "node:assert/strict";
import { test } from "node:test";
import { type Gpu, Linear, mean, tanh, type Tensor } from "../../src/engine/mod.ts";
import { trainableParameters } from "../../src/fl/mod.ts";
import { Backbone } from "../../src/models/mod.ts";
import {
  classification,
  evaluate,
  modelOutputs,
  packBatches,
  TaskModel,
  type TaskSet,
  trainBlock,
} from "../../src/tasks/mod.ts";
import { bitsOf, testGpu, upload } from "../engine/harness.ts";
import { gaussian } from "../support/matrices.ts";
import { Random } from "../support/random.ts";

const gpu = await testGpu();
const [numPatches, pixels, width, size] = [3, 4, 5, 30];

/** Reads patches of pixels: states [..., patches, width], and their mean. */
class PixelBackbone extends Backbone {
  override readonly hiddenSize = width;
  override readonly maxTokens = numPatches;
  override readonly adapterTargets = [];
  readonly patches: Linear;

  constructor(gpu: Gpu) {
    super();
    this.patches = new Linear(upload(gpu, gaussian([width, pixels], new Random(3))));
  }

  override encode({ pixelValues }: { readonly pixelValues: Tensor }): Tensor {
    return tanh(this.patches.forward(pixelValues));
  }

  override pool(states: Tensor): Tensor {
    return mean(states, { axes: [-2] });
  }
}

/** Pictures of two classes, which differ in the mean of their pixels. */
function pictures(): TaskSet {
  const random = new Random(7);
  const targets = Int32Array.from({ length: size }, (_, i) => i % 2);
  const data = Float32Array.from(
    { length: size * numPatches * pixels },
    (_, i) => random.uniform() - 0.5 + (targets[Math.floor(i / (numPatches * pixels))]! === 1 ? 0.4 : -0.4),
  );
  return {
    numExamples: size,
    size,
    length: numPatches,
    inputs: { pixelValues: { data, shape: [numPatches, pixels], perToken: true } },
    targets,
    targetsPerRow: 1,
    firstRows: Uint32Array.from({ length: size + 1 }, (_, i) => i),
    numTruncated: 0,
  };
}

test("a model that reads pixels trains in blocks and is evaluated by the same code as one that reads tokens", async () => {
  const set = pictures();
  const task = classification({ labels: ["dark", "light"] });
  const model = TaskModel.create(gpu, new PixelBackbone(gpu), { task, seed: 1 });
  const start = trainableParameters(model, () => true);
  const plans = [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]], [[10, 11], [12, 13, 14, 15]]];
  const learn = async (of: typeof plans) => {
    const batches = packBatches(set, of, 4);
    const { values } = await trainBlock(model, start, {
      optimizer: { name: "sgd" },
      learningRate: 2,
      batches,
    });
    const found = [...values].map(async ([name, each]) => [name, await each.floats()] as const);
    return new Map(await Promise.all(found));
  };
  const together = await learn(plans);
  for (const [k, plan] of plans.entries()) {
    for (const [name, values] of await learn([plan])) {
      const own = together.get(name)!;
      assert.deepEqual(bitsOf(values), bitsOf(own.slice(k * values.length, (k + 1) * values.length)), name);
    }
  }
  const trained = model.mapParameters((name, parameter) => {
    const values = together.get(name)!.slice(0, parameter.size);
    return upload(
      gpu,
      { data: Float64Array.from(values), shape: parameter.shape } as ReturnType<typeof gaussian>,
    );
  });
  const { scores } = await evaluate(trained, set, { batchSize: 7 });
  assert.equal(scores["accuracy"], 1);
  assert.ok((await evaluate(model, set)).loss > 0.6);
  assert.deepEqual(await modelOutputs(trained, set, { batchSize: 1 }), await modelOutputs(trained, set));
});
