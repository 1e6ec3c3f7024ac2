import assert from "node:assert/strict";
import { test } from "node:test";
import { add, clone, type Module, tensor, tidy } from "../../../../src/engine/mod.ts";
import {
  adaptersOf,
  attachAdapters,
  decodeAdapter,
  encodeAdapter,
  exportLora,
  factoredLinears,
  federa,
  type Initialization,
  lora,
  merge,
  observedLora,
  OffsetLinear,
  ravanBases,
  triplets,
} from "../../../../src/federa/mod.ts";
import { bitsOf, testGpu, upload } from "../../../engine/harness.ts";
import { relativeError } from "../../../support/compare.ts";
import { linearStack } from "../../../support/linear_stack.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";

const gpu = await testGpu();
const widths = [7, 5, 6, 3];
const pretrained = linearStack(gpu, widths, 1);
const x = upload(gpu, gaussian([8, 7], new Random(3)));

/** Factors drawn at random, counted from where they start. */
const offset: Initialization = async (weights, options) =>
  (await lora(weights, options)).map(({ weight, loraA }, i) => {
    const { shape: [out] } = weight;
    const drawn = upload(gpu, gaussian([out!, options.rank], new Random(i)));
    const parts = { weight, loraA, loraB: drawn };
    return {
      ...parts,
      create: (rest) =>
        new OffsetLinear({ ...parts, initialA: clone(loraA), initialB: clone(drawn), ...rest }),
    };
  });

/** Each kind of layer of low rank that isn't plain LoRA: its start, and what is trained. */
const kinds: readonly (readonly [name: string, initialization: Initialization, trained: RegExp])[] = [
  ["LoRA counted from its start", offset, /\.lora[AB]$|^head\./],
  ["FedARA", triplets, /\.lora[ABE]$|^head\./],
  ["PRILoRA", observedLora, /\.lora[AB]$|^head\./],
  ["RAVAN", ravanBases({ heads: 2 }), /\.(loraH|headScales)$|^head\./],
  ["LoRA-XS", federa({ svd: "exact", hasCore: true }), /\.loraR$|^head\./],
];

function move<M extends Module>(model: M, trained: RegExp): M {
  const random = new Random(2);
  return model.mapParameters((name, each) => {
    if (!trained.test(name)) return each;
    const noise = Float32Array.from({ length: each.size }, () => 0.3 * random.normal());
    return add(each, tensor(gpu, noise, { shape: each.shape }));
  });
}

for (const [kind, initialization, trained] of kinds) {
  test(`${kind} starts at the pretrained outputs, and is saved and exported as plain LoRA`, async () => {
    const start = await attachAdapters(pretrained, {
      targets: ["layers.*"],
      rank: 3,
      alpha: 2,
      initialization,
    });
    const outputs = (model: typeof pretrained) => tidy(() => model.forward(x)).floats();
    // The residual rounds once, and a sum of products some 20 times: of values up to 4, over two layers.
    assert.ok(relativeError(await outputs(start), await outputs(pretrained)) <= 1e-5);

    const model = move(start, trained);
    assert.ok(relativeError(await outputs(model), await outputs(pretrained)) > 1e-2, "it moved");
    const loaded = await decodeAdapter(pretrained, await encodeAdapter(model, { pretrained }));
    assert.equal(adaptersOf(loaded).size, factoredLinears(model).size);
    assert.deepEqual(bitsOf(await outputs(loaded)), bitsOf(await outputs(model)));
    assert.ok(relativeError(await outputs(merge(model)), await outputs(model)) <= 1e-5);

    const live = gpu.stats().liveBytes;
    const { tensors, layers } = await exportLora(model, { pretrained });
    assert.equal(gpu.stats().liveBytes, live, "exporting leaves nothing on the device");
    for (const [name, layer] of factoredLinears(model)) {
      const [a, b] = ["lora_A", "lora_B"].map((part) => {
        const { shape, data } = tensors.get(`${name}.${part}.weight`)!;
        return tensor(gpu, data as Float32Array, { shape });
      });
      const { rank, alpha } = layers.get(name)!;
      const plain = await exportLora(loaded, { pretrained });
      assert.deepEqual(tensors, plain.tensors);
      assert.equal(a!.shape[0], rank);
      assert.equal(b!.shape[1], rank);
      assert.ok(Math.abs(alpha / rank - layer.sharedScaling) < 1e-12);
    }
  });
}
