import assert from "node:assert/strict";
import { test } from "node:test";
import { type Tensor, tensor, tidy } from "../../../src/engine/mod.ts";
import { adaptersOf, factoredLinears } from "../../../src/federa/mod.ts";
import { methods } from "../../../src/fl/mod.ts";
import { withParameters } from "../../../src/fl/tensors.ts";
import type { TaskModel } from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { relativeError } from "../../support/compare.ts";
import { type ClientUpload, DrivenMethod } from "../../support/driven_method.ts";
import { methodNames, methodOn } from "../../support/methods.ts";
import { Random } from "../../support/random.ts";
import { tinyClassifier } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const pretrained = tinyClassifier(gpu, { width: 7, inner: 5, seed: 7 });
const layers = ["encoder.inner", "encoder.outer"];
/** Ranks that hold any matrix of these, and scales that differ by layer. */
const options = {
  targets: layers,
  rank: 5,
  alpha: 3,
  rankPattern: { "**.outer": 4 },
  alphaPattern: { "**.inner": 7 },
  scaling: "rslora",
  svd: "exact",
};
const shares = [0.5, 0.25, 0.25];
const withPatterns = methodNames.filter((name) =>
  "rankPattern" in methods.get(name)!.definition.options.shape
);
/** Those whose global model is the mean of the clients' models. */
const exact = ["ffa-lora", "federa-ffa", "rolora", "fedex-lora", "federa-exact", "flora", "flexlora"];

async function weightsOf(model: TaskModel): Promise<number[]> {
  const all = [...factoredLinears(model).values()].map(async (adapter) => {
    using weight = tidy(() => adapter.effectiveWeight());
    return [...await weight.floats()];
  });
  return (await Promise.all(all)).flat();
}

test("every method with adapters starts at the pretrained weights, with the ranks and scales of its layers", async () => {
  assert.ok(exact.every((name) => withPatterns.includes(name)));
  const [inner, outer] = [7 / Math.sqrt(5), 3 / Math.sqrt(4)];
  const before = await Promise.all(
    [...pretrained.namedParameters()].filter(([name]) => /^encoder\.(inner|outer)\.weight$/.test(name)).map((
      [, each],
    ) => each.floats()),
  );
  // LoRA-GA's factors are of twice the rank, which these weights don't have.
  for (const name of withPatterns.filter((each) => each !== "lora-ga")) {
    const driven = await DrivenMethod.start(methodOn(name, options), pretrained);
    // Of plain LoRA; others make their factors of several.
    const adapters = [...adaptersOf(driven.global).values()];
    const settings = adapters.map(({ rank, sharedScaling }) => [rank, sharedScaling]);
    if (adapters.length > 0) assert.deepEqual(settings, [[5, inner], [4, outer]], name);
    // One subtraction and a product of five terms, rounded in f32.
    assert.ok(
      relativeError(await weightsOf(driven.global), before.flatMap((each) => [...each])) <= 1e-6,
      name,
    );
  }
});

// A weight of order 1, products of order 1 and the mean of three: some 30 roundings, 2e-6 in norm.
test("exact methods stay exact where layers have ranks and scales of their own", async () => {
  for (const name of exact) {
    // FlexLoRA keeps what its rank holds of the mean: here any matrix, by a pattern.
    const own = name === "flexlora" ? { ...options, rank: 3, rankPattern: { "**": 5 } } : options;
    const driven = await DrivenMethod.start(methodOn(name, own), pretrained);
    const random = new Random(3);
    for (let round = 1; round <= 3; round++) {
      const start = await Promise.all(
        [...driven.shared].map(async ([each, value]) => [each, await value.floats()] as const),
      );
      const uploads = shares.map((): ClientUpload =>
        new Map(start.map(([each, values]) => [each, values.map((value) => value + 0.1 * random.normal())]))
      );
      const mean: number[] = [];
      for (const [k, upload] of uploads.entries()) {
        const own = new Map<string, Tensor>(
          [...upload].map(([each, values]) => [
            each,
            tensor(gpu, Float32Array.from(values), { shape: driven.shared.get(each)!.shape }),
          ]),
        );
        (await weightsOf(withParameters(driven.global, own))).forEach((value, i) =>
          mean[i] = (mean[i] ?? 0) + shares[k]! * value
        );
      }
      await driven.aggregate(uploads, { shares });
      const error = relativeError(await weightsOf(driven.global), mean);
      assert.ok(error <= 1e-5, `${name}, round ${round}: ${error}`);
    }
  }
});

test("methods whose clients have ranks of their own refuse those of layers beside them, by name", () => {
  for (const name of ["flora", "flexlora", "hetlora"]) {
    const make = methods.get(name)! as (options: object) => unknown;
    assert.throws(() => make({ ranks: [1, 2], rankPattern: { "**": 3 } }), {
      name: "RangeError",
      message: /Cannot use ranks beside rankPattern: a client has one rank/,
    });
    assert.throws(() => make({ ranks: [1, 2], alphaPattern: { "**": 3 } }), {
      name: "RangeError",
      message: /Cannot use ranks beside alphaPattern/,
    });
  }
});

test("methods that leave the start open take each of them", async () => {
  const starts = ["lora", "gaussian", "federa", "pissa", "milora", "random-r", "olora"];
  const open = methodNames.filter((name) => "start" in methods.get(name)!.definition.options.shape);
  assert.deepEqual(
    open.sort(),
    ["central", "fedex-lora", "fedit", "fedsa-lora", "ffa-lora", "local", "rolora"],
  );
  for (const start of starts) {
    const driven = await DrivenMethod.start(methodOn("fedit", { ...options, start }), pretrained);
    const { initial } = adaptersOf(driven.global).get("encoder.inner")!;
    assert.equal(initial === undefined, ["lora", "gaussian"].includes(start), start);
  }
});
