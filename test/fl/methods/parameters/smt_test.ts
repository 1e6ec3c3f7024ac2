import assert from "node:assert/strict";
import { test } from "node:test";
import { type Tensor } from "../../../../src/engine/mod.ts";
import { adaptedLinears } from "../../../../src/federa/mod.ts";
import { smt } from "../../../../src/fl/mod.ts";
import { f32Codec } from "../../../../src/fl/transport/float_codec.ts";
import { testGpu } from "../../../engine/harness.ts";
import { simulated, valuesOf } from "../../../support/simulated.ts";
import { DrivenMethod } from "../../../support/driven_method.ts";
import { diagonalClassifier, tinyClassifier } from "../../../support/tiny_encoder.ts";

const gpu = await testGpu();
const layer = "encoder.inner";
const values = async (x: Tensor) => Array.from(await x.floats(), (value) => value + 0);

test("smt trains the blocks with the largest mean |gradient|, whose mean is exact, worked by hand", async () => {
  const pretrained = diagonalClassifier(gpu);
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
  const pretrained = tinyClassifier(gpu, { seed: 7 });
  const targets = [layer, "encoder.outer"];
  const before = await valuesOf(pretrained);
  const bytes: number[] = [];
  // 5×6 and 6×5 in blocks of 3×3 are 2×2 blocks each; half of the eight are trained.
  const { reports } = await simulated(pretrained, {
    method: smt({ targets, blockSize: 3, share: 0.5 }),
    optimizer: { name: "adamw", weightDecay: 0.1 },
    async onFinished(model) {
      const sent = [...model.namedParameters()].filter(([name]) => /^head\.|\.blocks$/.test(name));
      const shapes = new Map(sent.map(([name, { shape }]) => [name, shape]));
      const counts = targets.map((each) => shapes.get(`${each}.blocks`)![0]!);
      assert.equal(counts[0]! + counts[1]!, 4);
      for (const name of targets) {
        const after = await values(adaptedLinears(model).get(name)!.effectiveWeight());
        const was = before.get(`${name}.weight`)!;
        const moved = after.filter((value, i) => value !== was[i]).length;
        assert.ok(moved > 0 && moved < was.length, `${name}: ${moved} of ${was.length} moved`);
      }
      bytes.push(3 * f32Codec.payloadBytes(shapes));
    },
  });
  const scores = new Map(targets.map((each) => [`${each}.gradient`, [2, 2]]));
  const [later] = bytes;
  assert.deepEqual(reports.map(({ bytesUp }) => bytesUp), [3 * f32Codec.payloadBytes(scores), later, later]);
});
