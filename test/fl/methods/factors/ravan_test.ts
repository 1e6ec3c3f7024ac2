import assert from "node:assert/strict";
import { test } from "node:test";
import { type Tensor } from "../../../../src/engine/mod.ts";
import { adaptedLinears, attachAdapters, ravanBases, type RavanLinear } from "../../../../src/federa/mod.ts";
import { testGpu } from "../../../engine/harness.ts";
import { F64Array } from "../../../reference/array.ts";
import { matmul } from "../../../reference/matmul.ts";
import { DrivenMethod } from "../../../support/driven_method.ts";
import { linearStack } from "../../../support/linear_stack.ts";
import { methodOn } from "../../../support/methods.ts";
import { tinyClassifier } from "../../../support/tiny_encoder.ts";

const gpu = await testGpu();
const layer = "encoder.inner";
const host = async (x: Tensor) => F64Array.from(x.shape, await x.floats());

test("ravan averages s_i·H_i, whose product is the mean of the clients' updates, and begins again with scales of 1", async () => {
  const pretrained = tinyClassifier(gpu, { width: 5, inner: 4, classes: 2 });
  const driven = await DrivenMethod.start(
    methodOn("ravan", { targets: [layer], rank: 1, alpha: 4, heads: 2 }),
    pretrained,
  );
  const own = () => adaptedLinears(driven.global).get(layer) as RavanLinear;
  const start = await own().effectiveWeight().floats();
  assert.deepEqual(
    start,
    await new Map(pretrained.namedParameters()).get(`${layer}.weight`)!.floats(),
    "H = 0: the pretrained weight, to the bit",
  );
  const download = () => [...driven.plan.download!({ id: 0, numExamples: 1, lastRound: 0 }).keys()].sort();
  const heads = ["head.output.bias", "head.output.weight"];
  assert.deepEqual(download(), [`${layer}.loraH`, ...heads]);
  const upload = (cores: number[], scales: number[]) =>
    new Map([...driven.shared].map(([name, { size }]) => [
      name,
      name.endsWith(".loraH")
        ? cores
        : name.endsWith(".headScales")
        ? scales
        : new Array<number>(size).fill(0),
    ]));
  // s·H: (2·1, 3·2) and (−1·4, 0): means ¾·2 − ¼·4 = ½ and ¾·6 = 4½.
  await driven.aggregate([upload([1, 2], [2, 3]), upload([4, 7], [-1, 0])], { shares: [0.75, 0.25] });
  const [cores, scales] = [await own().loraH.floats(), await own().headScales.floats()];
  assert.deepEqual([[...cores], [...scales]], [[0.5, 4.5], [1, 1]]);
  const [a, b] = [await host(own().loraA), await host(own().loraB)];
  const wanted = start.map((value, i) => {
    const [row, column] = [Math.floor(i / 5), i % 5];
    const term = (head: number) => cores[head]! * b.data[row * 2 + head]! * a.data[head * 5 + column]!;
    return value + 4 * (term(0) + term(1));
  });
  (await own().effectiveWeight().floats()).forEach((value, i) =>
    // Four roundings of terms up to 20.
    assert.ok(Math.abs(value - wanted[i]!) <= 8e-6)
  );
});

test("ravanBases() are orthonormal across heads where they can be, and within each head otherwise", async () => {
  const pretrained = linearStack(gpu, [9, 6, 2], 1);
  for (const [heads, rank] of [[3, 2], [4, 2], [2, 1]] as const) {
    const model = await attachAdapters(pretrained, {
      targets: ["layers.0"],
      rank,
      alpha: 1,
      initialization: ravanBases({ heads }),
    });
    const { loraA, loraB, loraH } = model.layers[0] as RavanLinear;
    assert.deepEqual(loraH.shape, [heads, rank, rank]);
    const [a, b] = [await host(loraA), await host(loraB)];
    for (
      const [gram, length] of [
        [matmul(a, a, { layout: "NT" }), 9],
        [matmul(b, b, { layout: "TN" }), 6],
      ] as const
    ) {
      const count = heads * rank;
      gram.data.forEach((value, i) => {
        const [row, column] = [Math.floor(i / count), i % count];
        const isAlike = Math.floor(row / rank) === Math.floor(column / rank);
        if (count > length && !isAlike) return;
        assert.ok(Math.abs(value - (row === column ? 1 : 0)) <= 1e-5, `${heads}·${rank}: ${value}`);
      });
    }
  }
});
