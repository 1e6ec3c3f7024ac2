import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { add, assign, Linear, mul } from "../../../src/engine/mod.ts";
import {
  adaptersOf,
  attachAdapters,
  exportLora,
  federa,
  lora,
  type LowRankLinear,
} from "../../../src/federa/mod.ts";
import { holds, run, testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { linear } from "../../reference/matmul.ts";
import { fractions, magnitudes } from "../../support/arbitraries.ts";
import { relativeError } from "../../support/compare.ts";
import { linearStack } from "../../support/linear_stack.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";

const gpu = await testGpu();

const cases = fc.record({
  out: fc.constantFrom(1, 2, 3, 5, 8, 13, 17, 33),
  width: fc.constantFrom(1, 2, 3, 5, 8, 13, 17, 33),
  fraction: fractions(),
  alpha: magnitudes(0.01, 100),
  initialization: fc.constantFrom(lora, federa({ svd: "exact" }), federa()),
  seed: fc.nat(),
});

// s·B·A of the export cancels to the f32 rounding of W_res, u·|W| an element; the adapter's own forward rounds as in
// federa_test.ts. The export is evaluated in float64.
test("exportLora() on the pretrained weights is the trained model, whatever A and B have become", async () => {
  await holds(cases, async ({ out, width, fraction, alpha, initialization, seed }) => {
    const rank = Math.max(1, Math.round(fraction * Math.min(out, width)));
    const random = new Random(seed);
    const pretrained = linearStack(gpu, [width, out, 2], seed);
    const base = pretrained.layers[0] as Linear;
    const attached = await attachAdapters(pretrained, { targets: ["layers.*"], rank, alpha, initialization });
    const model = attached.mapParameters((name, each) =>
      /lora[AB]$/.test(name)
        ? add(each, mul(upload(gpu, gaussian(each.shape, random)), 1 / Math.sqrt(alpha)))
        : each
    );
    const { tensors, layers } = await exportLora(model, { pretrained });
    const taken = initialization === lora ? 1 : 2;
    assert.deepEqual([...tensors.keys()].sort(), ["layers.0.lora_A.weight", "layers.0.lora_B.weight"]);
    const [a, b] = ["lora_A", "lora_B"].map((part) => {
      const { shape, data } = tensors.get(`layers.0.${part}.weight`)!;
      return F64Array.from(shape, data as Float32Array);
    }) as [F64Array, F64Array];
    assert.deepEqual([a.shape, b.shape], [[taken * rank, width], [out, taken * rank]]);
    const config = layers.get("layers.0")!;
    assert.equal(config.rank, taken * rank);
    assert.ok(Math.abs(config.alpha / (taken * alpha) - 1) <= 2 ** -51);

    const x = F64Array.fromF32([8, width], gaussian([8, width], random).data);
    const [w0, bias] = [
      F64Array.from([out, width], await base.weight.floats()),
      F64Array.from([out], await base.bias!.floats()),
    ];
    const frozen = linear(x, w0, bias).data;
    const update = linear(linear(x, a), b).data;
    const expected = frozen.map((value, i) => value + config.alpha / config.rank * update[i]!);
    const input = upload(gpu, x);
    const output = await run(gpu, () => (model.layers[0] as LowRankLinear).forward(input));
    assert.ok(relativeError(output, expected) <= 1e-5, `error ${relativeError(output, expected)}`);
  });
});

test("exportLora() writes [B, −B₀] and [A; A₀], and A and B alone where nothing was taken out", async () => {
  const pretrained = linearStack(gpu, [3, 2, 2], 1);
  const attach = (initialization: typeof lora) =>
    attachAdapters(pretrained, { targets: ["layers.0"], rank: 1, alpha: 5, initialization });
  const model = await attach(federa({ svd: "exact" }));
  const { loraA, loraB, initial } = adaptersOf(model).get("layers.0")!;
  const [a0, b0] = [await initial!.loraA.floats(), await initial!.loraB.floats()];
  assign(loraA, upload(gpu, F64Array.from([1, 3], [1, 2, 3])));
  assign(loraB, upload(gpu, F64Array.from([2, 1], [4, 5])));
  const { tensors, layers } = await exportLora(model, { pretrained });
  assert.deepEqual(tensors.get("layers.0.lora_A.weight")!.data, Float32Array.of(1, 2, 3, ...a0));
  assert.deepEqual(tensors.get("layers.0.lora_B.weight")!.data, Float32Array.of(4, -b0[0]!, 5, -b0[1]!));
  assert.deepEqual(layers.get("layers.0"), { rank: 2, alpha: 10 });
  const plain = await exportLora(await attach(lora), { pretrained });
  assert.deepEqual(plain.tensors.get("layers.0.lora_B.weight")!.data, Float32Array.of(0, 0));
  assert.deepEqual(plain.layers.get("layers.0"), { rank: 1, alpha: 5 });
});

test("exportLora() refuses a residual that was changed, another base, and leaks nothing", async () => {
  const pretrained = linearStack(gpu, [3, 2, 2], 1);
  const model = await attachAdapters(pretrained, {
    targets: ["layers.0"],
    rank: 1,
    alpha: 1,
    initialization: federa({ svd: "exact" }),
  });
  const before = gpu.stats().liveBytes;
  await exportLora(model, { pretrained });
  assert.equal(gpu.stats().liveBytes, before);
  await assert.rejects(exportLora(model, { pretrained: linearStack(gpu, [3, 2, 2], 2) }), {
    name: "AdapterMismatchError",
  });
  const { weight } = adaptersOf(model).get("layers.0")!;
  assign(weight, add(weight, 1));
  await assert.rejects(exportLora(model, { pretrained }), {
    name: "AdapterMismatchError",
    message: /layers\.0.*merge the model/,
  });
});
