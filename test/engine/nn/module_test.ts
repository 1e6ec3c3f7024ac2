import assert from "node:assert/strict";
import { test } from "node:test";
import { Embedding, LayerNorm, Linear } from "../../../src/engine/nn/layers.ts";
import { Module } from "../../../src/engine/nn/module.ts";
import { mul } from "../../../src/engine/ops/elementwise.ts";
import { embedding } from "../../../src/engine/ops/embedding.ts";
import { layerNorm } from "../../../src/engine/ops/reduction/layer_norm.ts";
import { linear } from "../../../src/engine/ops/matmul/linear.ts";
import { type Tensor, tensor } from "../../../src/engine/tensor.ts";
import { bitsOf, run, testGpu } from "../harness.ts";

const gpu = await testGpu();
const make = (...shape: number[]) =>
  tensor(gpu, Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i)), {
    shape,
  });

class Block extends Module {
  readonly norm = new LayerNorm(make(3), make(3), { epsilon: 1e-5 });
  readonly projection = new Linear(make(3, 3));
  readonly scale = make(1);
  readonly width = 3;

  forward(x: Tensor): Tensor {
    return mul(this.projection.forward(this.norm.forward(x)), this.scale);
  }
}

class Model extends Module {
  readonly embedding = new Embedding(make(5, 3));
  readonly layers = [new Block(), new Block()];
  readonly factors = [make(2), make(1)];
  readonly head = new Linear(make(2, 3), make(2));

  forward(ids: Tensor): Tensor {
    return this.head.forward(this.layers.reduce((x, layer) => layer.forward(x), this.embedding.forward(ids)));
  }
}

const model = new Model();
const block = (i: number) =>
  ["norm.weight", "norm.bias", "projection.weight", "scale"].map((name) => `layers.${i}.${name}`);
const names = [
  "embedding.weight",
  ...block(0),
  ...block(1),
  "factors.0",
  "factors.1",
  "head.weight",
  "head.bias",
];

test("Module.namedParameters() names every tensor by its path, in field order", () => {
  assert.deepEqual([...model.namedParameters()].map(([name]) => name), names);
  assert.deepEqual(
    [...model.namedParameters("encoder")].map(([name]) => name),
    names.map((name) => `encoder.${name}`),
  );
  assert.equal(
    new Map(model.namedParameters()).get("layers.1.projection.weight"),
    model.layers[1]!.projection.weight,
  );
});

test("Module.namedModules() names every module by its path, itself first", () => {
  assert.deepEqual([...model.namedModules()].map(([name]) => name), [
    "",
    "embedding",
    "layers.0",
    "layers.0.norm",
    "layers.0.projection",
    "layers.1",
    "layers.1.norm",
    "layers.1.projection",
    "head",
  ]);
  assert.equal(new Map(model.namedModules("m")).get("m"), model);
});

test("Module.mapParameters() replaces what it is told to and shares the rest", () => {
  using own = make(3, 3);
  const seen: string[] = [];
  const copy = model.mapParameters((name, parameter) => {
    seen.push(name);
    return name === "layers.1.projection.weight" ? own : parameter;
  });
  assert.deepEqual(seen, names);
  assert.ok(copy instanceof Model && copy.layers[0] instanceof Block);
  assert.equal(copy.layers[1]!.projection.weight, own);
  assert.notEqual(model.layers[1]!.projection.weight, own);
  for (const [name, parameter] of copy.namedParameters()) {
    if (name !== "layers.1.projection.weight") {
      assert.equal(parameter, new Map(model.namedParameters()).get(name), name);
    }
  }
  assert.equal(copy.layers[0]!.width, 3);
  assert.equal(copy.layers[0]!.norm.epsilon, 1e-5);
});

test("Module.mapModules() gets children before parents, replaces them and shares every tensor", () => {
  class Doubled extends Linear {
    override forward(x: Tensor): Tensor {
      return mul(super.forward(x), 2);
    }
  }
  const seen: string[] = [];
  const copy = model.mapModules((name, module) => {
    seen.push(name);
    return name === "head" ? new Doubled(model.head.weight, model.head.bias) : module;
  });
  assert.deepEqual(seen, [
    "embedding",
    "layers.0.norm",
    "layers.0.projection",
    "layers.0",
    "layers.1.norm",
    "layers.1.projection",
    "layers.1",
    "head",
  ]);
  assert.ok(copy.head instanceof Doubled && !(model.head instanceof Doubled));
  assert.deepEqual([...copy.namedParameters()], [...model.namedParameters()]);
});

test("Module.mapModules() and mapParameters() allocate nothing", () => {
  const before = gpu.stats();
  model.mapModules((_, module) => module).mapParameters((_, parameter) => parameter);
  assert.deepEqual(gpu.stats(), before);
});

test("a mapped model computes what its own parameters say", async () => {
  using ids = tensor(gpu, Uint32Array.of(4, 0, 2));
  const before = await run(gpu, () => model.forward(ids));
  using half = tensor(gpu, [0.5]);
  const copy = model.mapParameters((name, parameter) => name.endsWith("1.scale") ? half : parameter);
  const after = await run(gpu, () => copy.forward(ids));
  assert.notDeepEqual(bitsOf(after), bitsOf(before));
  assert.deepEqual(bitsOf(await run(gpu, () => model.forward(ids))), bitsOf(before));
});

test("Linear, LayerNorm and Embedding compute their operations", async () => {
  using x = make(2, 3);
  using ids = tensor(gpu, Uint32Array.of(1, 1, 0), { shape: [3, 1] });
  const [weight, bias, gamma, beta, table] = [make(4, 3), make(4), make(3), make(3), make(2, 5)];
  const pairs: [() => Tensor, () => Tensor][] = [
    [() => new Linear(weight, bias).forward(x), () => linear(x, { weight, bias })],
    [() => new Linear(weight).forward(x), () => linear(x, { weight })],
    [
      () => new LayerNorm(gamma, beta, { epsilon: 0.1 }).forward(x),
      () => layerNorm(x, { weight: gamma, bias: beta, epsilon: 0.1 }),
    ],
    [() => new Embedding(table).forward(ids), () => embedding(table, ids)],
  ];
  for (const [layer, operation] of pairs) {
    assert.deepEqual(bitsOf(await run(gpu, layer)), bitsOf(await run(gpu, operation)));
  }
});
