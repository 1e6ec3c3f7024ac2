import assert from "node:assert/strict";
import { test } from "node:test";
import { type Tensor, toHalf, zeros } from "../../../../src/engine/mod.ts";
import { adaptedLinears, lora } from "../../../../src/federa/mod.ts";
import { averaging, decodeRunState, encodeRunState, type RunState } from "../../../../src/fl/mod.ts";
import { withOwnParameters } from "../../../../src/fl/method.ts";
import { gradientStart } from "../../../../src/fl/methods/parts/scouting/gradient_start.ts";
import { f32Codec } from "../../../../src/fl/transport/float_codec.ts";
import { bitsOf, testGpu } from "../../../engine/harness.ts";
import { DrivenMethod } from "../../../support/driven_method.ts";
import { simulated, valuesOf } from "../../../support/simulated.ts";
import { methodOn } from "../../../support/methods.ts";
import { diagonalClassifier, tinyClassifier } from "../../../support/tiny_encoder.ts";

const gpu = await testGpu();
const layer = "encoder.inner";
const targets = [layer, "encoder.outer"];
const values = async (x: Tensor) => Array.from(await x.floats(), (value) => value + 0);

function near(found: readonly number[], wanted: readonly number[]): void {
  assert.equal(found.length, wanted.length);
  // Some ten roundings of values up to 4, of u = 6e-8.
  found.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]!) <= 4e-6, `${found}, wanted ${wanted}`));
}

/** A method of rank 1 and s = 4 on W = diag(4, 1), after clients of shares ¾ and ¼ sent these gradients. */
async function started(name: string, gradients: readonly number[][], options: Record<string, unknown>) {
  const pretrained = diagonalClassifier(gpu);
  const method = methodOn(name, { targets: [layer], rank: 1, alpha: 4, svd: "exact", ...options });
  const driven = await DrivenMethod.start(method, pretrained);
  const download = (lastRound: number) =>
    [...driven.plan.download!({ id: 0, numExamples: 1, lastRound }).keys()].sort();
  const layerOf = () => adaptedLinears(driven.global).get(layer)!;
  assert.deepEqual(await values(layerOf().effectiveWeight()), [4, 0, 0, 1]);
  assert.deepEqual([...driven.shared.keys()], [`${layer}.weight`]);
  assert.deepEqual(download(0), [], "whoever takes part knows the pretrained weights");
  const uploads = gradients.map((own) => new Map([[`${layer}.gradient`, own]]));
  const shapes = new Map([[`${layer}.gradient`, [2, 2]]]);
  await driven.aggregate(uploads, { shares: [0.75, 0.25], shapes });
  const parameters = async () =>
    Object.fromEntries(
      await Promise.all(
        [...driven.method.parameters(driven.state)].filter(([each]) => each.startsWith(layer)).map(
          async ([each, value]) => [each.slice(layer.length + 1), await values(value)],
        ),
      ),
    );
  return { driven, download, layerOf, parameters };
}

const heads = ["head.output.bias", "head.output.weight"];
/** Of mean diag(6, 2). */
const gradients = [[8, 4, 0, 0], [0, -12, 0, 8]];

test("fedSb takes its bases from the SVD of the mean gradient, R starts with a step along it, and R is averaged exactly", async () => {
  const { driven, download, layerOf, parameters } = await started("fed-sb", gradients, {
    basis: "gradient",
    firstStep: 0.5,
  });
  // B = e₁, A = e₁ᵀ, R₀ = −½·6/4: W − ½·6·e₁·e₁ᵀ.
  const found = await parameters();
  near([...found["loraB"]!, ...found["loraA"]!, ...found["loraR"]!], [1, 0, 1, 0, -0.75]);
  near(await values(layerOf().effectiveWeight()), [1, 0, 0, 1]);
  // Whoever knows the bases gets R alone.
  const all = [...heads, `${layer}.loraR`].sort();
  assert.deepEqual([...driven.shared.keys()].sort(), all);
  assert.deepEqual(download(2), all);
  for (const lastRound of [0, 1]) {
    assert.deepEqual(download(lastRound), [...all, `${layer}.loraA`, `${layer}.loraB`].sort());
  }
  const head: [string, number[]][] = [["head.output.weight", [0, 0, 0, 0]], ["head.output.bias", [0, 0]]];
  const uploads = [2, -2].map((r) => new Map([...head, [`${layer}.loraR`, [r]] as const]));
  await driven.aggregate(uploads, { shares: [0.75, 0.25] });
  // diag(4, 1) + 4·(¾·2 − ¼·2)·e₁·e₁ᵀ.
  near(await values(layerOf().effectiveWeight()), [8, 0, 0, 1]);
});

test("fedSb by default goes by the gradient's signs, as Adam's first step does", async () => {
  // The mean is [2 3; 1 5], its signs all 1, of the triplet 2, (1, 1)/√2, (1, 1)/√2: −½ everywhere.
  const { layerOf } = await started("fed-sb", [[2, 4, 0, 4], [2, 0, 4, 8]], { firstStep: 0.5 });
  near(await values(layerOf().effectiveWeight()), [3.5, -0.5, -0.5, 0.5]);
});

test("loraGa starts A from the first triplets of the mean gradient and B from the next, and leaves the weight as it was", async () => {
  const { driven, download, layerOf, parameters } = await started("lora-ga", gradients, {
    gamma: Math.SQRT2,
  });
  // c = 2^¼/√γ = 1: A = e₁ᵀ, B = e₂.
  const found = await parameters();
  near([...found["loraA"]!, ...found["loraB"]!], [1, 0, 0, 1]);
  near([...found["initialA"]!, ...found["initialB"]!], [1, 0, 0, 1]);
  assert.deepEqual(await values(layerOf().effectiveWeight()), [4, 0, 0, 1]);
  const all = [...heads, `${layer}.loraA`, `${layer}.loraB`].sort();
  assert.deepEqual(download(2), all);
  assert.deepEqual(download(1), [...all, `${layer}.initialA`, `${layer}.initialB`].sort());
  const head: [string, number[]][] = [["head.output.weight", [0, 0, 0, 0]], ["head.output.bias", [0, 0]]];
  const uploads = [[[1, 1], [1, 0]], [[5, 1], [1, 4]]].map(([a, b]) =>
    new Map([...head, [`${layer}.loraA`, a!], [`${layer}.loraB`, b!]])
  );
  await driven.aggregate(uploads, { shares: [0.75, 0.25] });
  // diag(4, 1) + 4·([1 1]ᵀ·[2 1] − e₂·e₁ᵀ).
  near(await values(layerOf().effectiveWeight()), [12, 4, 4, 5]);
});

test("loraGa needs twice as many triplets as its rank; neither starts on weights that are stored rounded", () => {
  const pretrained = tinyClassifier(gpu, { width: 6, inner: 5 });
  assert.throws(() => methodOn("lora-ga", { targets, rank: 3 }).check(pretrained), {
    name: "RangeError",
    message: /2·3 triplets of its gradient: expected a rank from 1 to 2/,
  });
  const rounded = pretrained.mapParameters((name, each) => name === `${layer}.weight` ? toHalf(each) : each);
  for (const name of ["lora-ga", "fed-sb"]) {
    assert.throws(() => methodOn(name, { targets, rank: 2 }).check(rounded), /stored as f16/);
  }
});

/** One round of one step of some length, whatever the weight decay. */
const oneStep = {
  rounds: 1,
  blockSize: 3,
  work: { steps: 1 },
  optimizer: { name: "adamw", weightDecay: 0.5 },
  learningRate: 1,
} as const;

test("the round that gathers gradients moves nothing, and gives the mean that a step of descent shows, whatever the optimiser", async () => {
  const pretrained = tinyClassifier(gpu, { seed: 7 });
  const before = await valuesOf(pretrained);
  const gathered = new Map<string, number[]>();
  const observer = gradientStart({ targets, rank: 1, alpha: 1 }, {
    name: "observer",
    initialization: lora,
    trained: ["loraA", "loraB"],
    frozen: [],
    async start(gradient) {
      gathered.set(gradient.shape.join(), await values(gradient));
      return { loraA: zeros(gpu, [1, gradient.shape[1]!]), loraB: zeros(gpu, [gradient.shape[0]!, 1]) };
    },
  });
  const observing = { ...oneStep, method: observer };
  const { reports, values: after } = await simulated(pretrained, {
    ...observing,
    work: { steps: 3 },
    clipNorm: 1e-3,
  });
  for (const [name, own] of before) assert.deepEqual(bitsOf(after.get(name)!), bitsOf(own), name);
  const shapes = new Map(targets.map((each, i) => [`${each}.gradient`, i === 0 ? [5, 6] : [6, 5]]));
  assert.equal(reports[0]!.bytesUp, 3 * f32Codec.payloadBytes(shapes));
  assert.equal(reports[0]!.bytesDown, 0);

  // One step of plain descent of length 1 from the same weights: W′ = W − Ḡ.
  await simulated(pretrained, observing);
  const weights = targets.map((each) => `${each}.weight`);
  const descent = averaging({
    name: "weights",
    check: () => {},
    start: (model) => Promise.resolve(withOwnParameters(model, (name) => weights.includes(name))),
    isTrained: (name) => weights.includes(name),
  });
  const moved = await simulated(pretrained, { ...oneStep, method: descent, optimizer: { name: "sgd" } });
  for (const name of weights) {
    const [was, is] = [before, moved.values].map((all) => all.get(name));
    const { shape } = new Map(pretrained.namedParameters()).get(name)!;
    // W′ and the difference round once each, of weights up to 2: 4·u.
    gathered.get(shape.join())!.forEach((value, i) =>
      assert.ok(Math.abs(value - (was![i]! - is![i]!)) <= 4 * 2 ** -24 * 2, `${name}: ${value}`)
    );
    assert.ok(gathered.get(shape.join())!.some((value) => Math.abs(value) > 1e-3));
  }
});

test("a run that stops after its gradients were gathered goes on with the same bits", async () => {
  for (const name of ["fed-sb", "lora-ga", "smt"]) {
    const pretrained = tinyClassifier(gpu, { seed: 7 });
    const method = methodOn(name, { targets, rank: 2, svd: "exact", firstStep: 0.01 });
    const options = { ...oneStep, method, learningRate: 0.01 };
    const whole = await simulated(pretrained, { ...options, rounds: 3 });
    let resume: RunState | undefined;
    await simulated(pretrained, {
      ...options,
      blockSize: 1,
      onRound: async ({ state }) => void (resume = decodeRunState(gpu, await encodeRunState(state)).state),
    });
    const rest = await simulated(pretrained, { ...options, rounds: 3, resume });
    for (const [name, own] of whole.values) {
      assert.deepEqual(bitsOf(rest.values.get(name)!), bitsOf(own), name);
    }
  }
});
