import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { loadModel } from "../../../../src/experiment/model/load_model.ts";
import { moduleFingerprint } from "../../../../src/federa/mod.ts";
import { feDeRa, type HostTensors } from "../../../../src/fl/mod.ts";
import { hashTensors } from "../../../../src/network/flower/learning/start_of_run.ts";
import { classification, planBatches, TaskModel } from "../../../../src/tasks/mod.ts";
import { testGpu } from "../../../engine/harness.ts";
import { flowerPrograms, withoutFlower } from "../../../interop/flower/programs.ts";
import { root } from "../../../support/installed_package.ts";
import { silent } from "../../../support/silent_reporter.ts";
import { parametersOf } from "../../../support/tiny_federation.ts";
import { tinyProject } from "../../../support/tiny_project.ts";

const gpu = await testGpu();
const skip = withoutFlower;

/** What Python makes of an expression, with the modules of `examples/flower` at hand. */
async function python<T>(expression: string): Promise<T> {
  const code = `
import json
import numpy as np
from federated_lora.base import digest, fingerprint, layers_of, read_base
from federated_lora.batches import plan_batches
from federated_lora.start import make_start
print(json.dumps(${expression}))`;
  const { stdout } = await promisify(execFile)(join(await flowerPrograms(), "python"), ["-c", code], {
    cwd: join(root, "examples/flower"),
    env: { PYTHONDONTWRITEBYTECODE: "1" },
  });
  return JSON.parse(stdout);
}

test("the example's Python draws the batches that planBatches() draws", { skip }, async () => {
  const cases = [
    { rows: 7, batchSize: 2, work: { steps: 9 }, seed: 1, round: 1, client: 0 },
    { rows: 12, batchSize: 5, work: { epochs: 2 }, seed: 2 ** 40 + 3, round: 3, client: 2 },
    { rows: 100, batchSize: 8, work: { steps: 30 }, seed: 0, round: 2, client: 1 },
    { rows: 1, batchSize: 4, work: { epochs: 3 }, seed: 5, round: 1, client: 7 },
  ];
  const calls = cases.map(({ rows, batchSize, work, seed, round, client }) => {
    const [[unit, count]] = Object.entries(work) as [[string, number]];
    const config = { "batch-size": batchSize, [`local-${unit}`]: count, seed, "server-round": round };
    return `plan_batches(${rows}, ${JSON.stringify(config)}, ${client})`;
  });
  assert.deepEqual(
    await python(`[${calls.join(", ")}]`),
    cases.map(({ rows, ...options }) => planBatches([...new Array(rows).keys()], options)),
  );
});

test("the example's Python has the hashes of federa's weights and of a start", { skip }, async (t) => {
  const base = join(await tinyProject(t), "bert");
  for (const pooling of ["mean", "pooler"] as const) {
    const { encoder } = await loadModel(gpu, { model: { source: base, pooling }, precision: "f32" }, {
      reporter: silent,
    });
    assert.equal(
      await python(
        `fingerprint(read_base(${JSON.stringify(base)}, ${pooling === "pooler" ? "True" : "False"}))`,
      ),
      await moduleFingerprint(encoder, { isSorted: true }),
    );
  }
  const values: HostTensors = new Map([
    ["b.x", { shape: [2, 1], data: Float32Array.of(1, 2) }],
    ["a", { shape: [2], data: Float32Array.of(-0, 3.5) }],
    ["a.b", { shape: [0], data: new Float32Array() }],
  ]);
  const arrays = "'b.x': np.float32([[1], [2]]), 'a': np.float32([-0.0, 3.5]), 'a.b': np.float32([])";
  assert.equal(await python(`digest({${arrays}})`), await hashTensors(values));
});

test("the example's server starts FeDeRA at the factors of the exact SVD", { skip }, async (t) => {
  const base = join(await tinyProject(t), "bert");
  const targets = ["**.query", "encoder.*.layer.0.output.*"];
  const config = { method: "federa", rank: 3, alpha: 6, seed: 1, labels: ["no", "yes"], targets };
  const found = await python<Record<string, number[][]>>(
    `{name: value.tolist() for name, value in make_start(read_base(${JSON.stringify(base)}, False), ${
      JSON.stringify(config)
    }, 12).items()}`,
  );
  const { encoder } = await loadModel(gpu, { model: { source: base, pooling: "mean" }, precision: "f32" }, {
    reporter: silent,
  });
  const pretrained = TaskModel.create(gpu, encoder, {
    task: classification({ labels: ["no", "yes"] }),
    seed: 1,
  });
  const method = feDeRa({ rank: 3, alpha: 6, targets, svd: "exact" });
  const { model, state } = await method.init(pretrained, { seed: 1, numClients: 1 });
  const trained = [...method.parameters(state).keys()];
  assert.deepEqual(Object.keys(found).sort(), trained.sort());
  const expected = await parametersOf(model);
  for (const name of trained.filter((each) => each.endsWith(".loraA"))) {
    const [a, b] = [found[name]!, found[name.replace(/A$/, "B")]!];
    const [ownA, ownB] = [expected.get(name)!, expected.get(name.replace(/A$/, "B"))!];
    const width = ownA.shape[1]!;
    // Signs are free; the products aren't. The errors are those of an SVD in f32.
    b.forEach((row, i) => {
      for (let j = 0; j < width; j++) {
        const [one, other] = [
          row.reduce((sum, x, k) => sum + x * a[k]![j]!, 0),
          row.reduce((sum, _, k) => sum + ownB.data[i * 3 + k]! * ownA.data[k * width + j]!, 0),
        ];
        assert.ok(Math.abs(one - other) < 1e-5, `${name} ${i} ${j}: ${one}, ${other}`);
      }
    });
  }
});
