import assert from "node:assert/strict";
import { test } from "node:test";
import { assign, type Tensor, tensor } from "../../../../src/engine/mod.ts";
import { adaptedLinears } from "../../../../src/federa/mod.ts";
import { simulate, smt } from "../../../../src/fl/mod.ts";
import { disposeOwn } from "../../../../src/fl/own_parameters.ts";
import { f32Codec } from "../../../../src/fl/transport/float_codec.ts";
import { testGpu } from "../../../engine/harness.ts";
import { DrivenMethod } from "../../../support/driven_method.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../../support/tiny_encoder.ts";

const gpu = await testGpu();
const layer = "encoder.inner";
const values = async (x: Tensor) => Array.from(await x.floats(), (value) => value + 0);

test("smt trains the blocks with the largest mean |gradient|, whose mean is exact, worked by hand", async () => {
  const pretrained = tinyClassifier(gpu, { width: 2, inner: 2, classes: 2 });
  assign(
    new Map(pretrained.namedParameters()).get(`${layer}.weight`)!,
    tensor(gpu, [4, 0, 0, 1], { shape: [2, 2] }),
  );
  const driven = await DrivenMethod.start(smt({ targets: [layer], blockSize: 1, share: 0.5 }), pretrained);
  const download = (lastRound: number) =>
    [...driven.plan.download!({ id: 0, numExamples: 1, lastRound }).keys()].sort();
  const effective = () => values(adaptedLinears(driven.global).get(layer)!.effectiveWeight());
  const gradient = `${layer}.gradient`;
  assert.deepEqual(download(0), []);
  assert.deepEqual([...driven.plan.local!.sums!], [[gradient, [2, 2]]]);
  // Mean sizes ¾·[4 0 0 1] + ¼·[0 4 0 5] = [3 1 0 2]: the first and the last of four.
  const shares = [0.75, 0.25];
  await driven.aggregate([[4, 0, 0, 1], [0, 4, 0, 5]].map((own) => new Map([[gradient, own]])), {
    shares,
    shapes: new Map([[gradient, [2, 2]]]),
  });
  assert.deepEqual(await effective(), [4, 0, 0, 1]);
  const heads = ["head.output.bias", "head.output.weight"];
  assert.deepEqual([...driven.shared.keys()].sort(), [`${layer}.blocks`, ...heads]);
  assert.deepEqual(download(2), [`${layer}.values`, ...heads]);
  assert.deepEqual(download(1), [`${layer}.places`, `${layer}.values`, ...heads]);
  const head: [string, number[]][] = [["head.output.weight", [0, 0, 0, 0]], ["head.output.bias", [0, 0]]];
  await driven.aggregate(
    [[4, 8], [-4, 0]].map((own) => new Map([...head, [`${layer}.blocks`, own] as const])),
    { shares },
  );
  // diag(4 + ¾·4 − ¼·4, 1 + ¾·8).
  assert.deepEqual(await effective(), [6, 0, 0, 7]);
});

test("smt sends scores in the first round and n·l² values a layer later, and moves nothing else, to the bit", async () => {
  const train = tinyTask({ size: 40, length: 4, seed: 1 });
  const pretrained = tinyClassifier(gpu, { seed: 7 });
  const targets = [layer, "encoder.outer"];
  const before = new Map(
    await Promise.all(
      [...pretrained.namedParameters()].map(async ([name, x]) => [name, await values(x)] as const),
    ),
  );
  const sent: number[] = [];
  // 5×6 and 6×5 in blocks of 3×3 are 2×2 blocks each; half of the eight are trained.
  for await (
    const event of simulate(pretrained, {
      method: smt({ targets, blockSize: 3, share: 0.5 }),
      train,
      test: train,
      clients: randomClients(train.size, 3, 1),
      rounds: 3,
      blockSize: 2,
      work: { steps: 2 },
      batchSize: 4,
      optimizer: { name: "adamw", weightDecay: 0.1 },
      learningRate: 0.01,
      seed: 3,
      evaluateEvery: 0,
    })
  ) {
    if (event.type === "round") sent.push(event.report.bytesUp);
    if (event.type !== "finished") continue;
    const blocks = targets.map((each) =>
      [...event.model.namedParameters()].find(([name]) => name === `${each}.blocks`)![1]
    );
    assert.equal(blocks.reduce((sum, { shape }) => sum + shape[0]!, 0), 4);
    const head = [...event.model.namedParameters()].filter(([name]) => name.startsWith("head."));
    const shapes = new Map(
      [...head, ...targets.map((each, i) => [`${each}.blocks`, blocks[i]!] as const)].map((
        [name, { shape }],
      ) => [name, shape]),
    );
    const scores = new Map(targets.map((each) => [`${each}.gradient`, [2, 2]]));
    assert.deepEqual(sent, [scores, shapes, shapes].map((each) => 3 * f32Codec.payloadBytes(each)));
    for (const name of targets) {
      const after = await values(adaptedLinears(event.model).get(name)!.effectiveWeight());
      const was = before.get(`${name}.weight`)!;
      const moved = after.filter((value, i) => value !== was[i]).length;
      assert.ok(moved > 0 && moved < was.length, `${name}: ${moved} of ${was.length} moved`);
    }
    disposeOwn(event.model, pretrained);
  }
  assert.equal(sent.length, 3);
});
