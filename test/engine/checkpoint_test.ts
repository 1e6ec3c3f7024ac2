import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { noGrad } from "../../src/engine/autograd.ts";
import { backward } from "../../src/engine/backward.ts";
import { checkpoint } from "../../src/engine/checkpoint.ts";
import { Gpu } from "../../src/engine/gpu/device.ts";
import { selfAttention } from "../../src/engine/ops/attention/attention.ts";
import { add, exp, gelu, mul } from "../../src/engine/ops/elementwise.ts";
import { layerNorm } from "../../src/engine/ops/reduction/layer_norm.ts";
import { linear } from "../../src/engine/ops/matmul/linear.ts";
import { dropout } from "../../src/engine/ops/random.ts";
import { mean, sum } from "../../src/engine/ops/reduction/reduce.ts";
import { emptyPacked } from "../../src/engine/optim/packed.ts";
import { type Tensor, tensor } from "../../src/engine/tensor.ts";
import { tidy } from "../../src/engine/tidy.ts";
import { F64Array } from "../reference/array.ts";
import { gaussian } from "../support/matrices.ts";
import { Random } from "../support/random.ts";
import { bitsOf, holds, testFamilies, upload } from "./harness.ts";

const families = await testFamilies();
const width = 8;

/** Layers of attention, dropout, norm and a feed-forward part, each with parameters of its own. */
interface Case {
  readonly layers: number;
  readonly members: number;
  readonly tokens: number;
  readonly rate: number;
  /** Which parameters of each layer are trained. */
  readonly trained: readonly boolean[];
  readonly seed: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  layers: fc.integer({ min: 1, max: 4 }),
  members: fc.integer({ min: 1, max: 3 }),
  tokens: fc.integer({ min: 1, max: 9 }),
  rate: fc.constantFrom(0, 0.3),
  trained: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }).filter((each) => each.includes(true)),
  seed: fc.nat(),
});

const shapes = [[3 * width, width], [3 * width], [width], [width], [2 * width, width], [width, 2 * width]];

type Wrap = (body: (x: Tensor) => Tensor, x: Tensor) => Tensor;

function build(gpu: Gpu, { layers, members, tokens, rate, trained, seed }: Case) {
  const random = new Random(seed);
  const draw = (shape: readonly number[], scale: number) =>
    upload(gpu, F64Array.fromF32(shape, gaussian(shape, random).map((value) => scale * value).data));
  const parameters = Array.from({ length: layers }, () => shapes.map((shape) => draw(shape, 0.4)));
  const leaves = parameters.flatMap((each) => each.filter((_, i) => trained[i]));
  for (const leaf of leaves) leaf.requireGrad();
  const x = draw([members, tokens, width], 1);
  const keys = tensor(gpu, Uint32Array.from({ length: 2 * members }, (_, i) => seed + i), {
    shape: [members, 2],
  });
  const loss = (wrap: Wrap) => {
    let h = x;
    parameters.forEach(([qkv, bias, gamma, beta, inner, outer], site) => {
      h = wrap((input) => {
        const attended = selfAttention(linear(input, { weight: qkv!, bias: bias! }), { heads: 2 });
        const normed = layerNorm(add(input, dropout(attended, { rate, keys, site })), {
          weight: gamma!,
          bias: beta!,
        });
        return add(normed, linear(gelu(linear(normed, { weight: inner! })), { weight: outer! }));
      }, h);
    });
    return sum(mean(mul(h, h), { axes: [1, 2] }));
  };
  return { leaves, loss };
}

const wraps: Record<string, Wrap> = {
  "each layer": (body, x) => checkpoint(body, x),
  "each layer twice": (body, x) => checkpoint((h: Tensor) => checkpoint(body, h), x),
};
const plain: Wrap = (body, x) => body(x);

for (const [family, gpu] of Object.entries(families)) {
  for (const [name, wrap] of Object.entries(wraps)) {
    test(`checkpoint() of ${name} gives loss and gradients bit for bit, on ${family}`, async () => {
      const before = gpu.stats().liveBytes;
      await holds(cases, async (each) => {
        const [expected, found] = [plain, wrap].map((way) =>
          tidy(() => {
            const { leaves, loss } = build(gpu, each);
            const value = loss(way);
            const into = emptyPacked(gpu, leaves.map(({ shape }) => shape));
            return [value, ...backward(value, leaves, { into })];
          })
        );
        for (const [i, gradient] of expected!.entries()) {
          assert.deepEqual(bitsOf(await found![i]!.floats()), bitsOf(await gradient.floats()), `tensor ${i}`);
        }
        for (const tensor of [...expected!, ...found!]) tensor.dispose();
      }, 12);
      assert.equal(gpu.stats().liveBytes, before);
    });
  }
}

test("checkpoint() keeps fewer bytes alive, and less the more layers there are", () => {
  const { device, adapter } = families.cpu!;
  const peak = (wrap: Wrap, layers: number) => {
    const gpu = new Gpu(device, adapter, 2 ** 28);
    const each = {
      layers,
      members: 4,
      tokens: 64,
      rate: 0.1,
      trained: [true, false, false, false, false, true],
      seed: 1,
    };
    tidy(() => {
      const { leaves, loss } = build(gpu, each);
      backward(loss(wrap), leaves);
    });
    return gpu.stats().peakBytes;
  };
  const [few, many] = [2, 8].map((layers) => peak(plain, layers) / peak(wraps["each layer"]!, layers));
  assert.ok(few! > 1.2 && many! > 2 * few!, `peak without over peak with: ${few}, ${many}`);
});

const gpu = families.cpu!;
const leaf = (data: number[]) => tensor(gpu, data).requireGrad();
const read = async (tensors: Tensor[]) =>
  await Promise.all(tensors.map(async (each) => [...await each.floats()]));

test("checkpoint() lets gradients through inputs, captured results and captured leaves", async () => {
  const [x, w] = [leaf([1, 2]), leaf([3, 5])];
  const h = mul(x, 2);
  const y = checkpoint((input: Tensor) => mul(mul(input, h), w), x);
  // Σ 2x²w: by w 2x², by x 4xw, by h xw.
  assert.deepEqual(await read(backward(sum(y), [x, w, h])), [[12, 40], [2, 8], [3, 10]]);
});

test("checkpoint() runs its body again in the backward pass, only if a wanted leaf is below", () => {
  const [w, x] = [leaf([1, 2]), leaf([3, 4])];
  let runs = 0;
  const y = checkpoint(() => {
    runs++;
    return exp(w);
  });
  assert.equal(runs, 1);
  const loss = sum(mul(y, x));
  backward(loss, [x]);
  assert.equal(runs, 1);
  backward(loss, [w]);
  assert.equal(runs, 2);
});

test("checkpoint() records nothing under noGrad(), over frozen inputs, or of what body finds ready", () => {
  const [w, frozen] = [leaf([1, 2]), tensor(gpu, [1, 2])];
  assert.equal(noGrad(() => checkpoint(() => exp(w))).node, null);
  assert.equal(checkpoint((x: Tensor) => exp(x), frozen).node, null);
  assert.equal(checkpoint(() => w), w);
  const h = exp(w);
  assert.equal(checkpoint(() => h), h);
  assert.notEqual(h.node, null);
});
