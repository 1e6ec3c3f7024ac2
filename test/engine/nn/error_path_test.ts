import assert from "node:assert/strict";
import { test } from "node:test";
import { Layer, Linear } from "../../../src/engine/nn/layers.ts";
import { Module } from "../../../src/engine/nn/module.ts";
import { add } from "../../../src/engine/ops/elementwise.ts";
import { zeros } from "../../../src/engine/ops/create.ts";
import type { Tensor } from "../../../src/engine/tensor.ts";
import { testGpu } from "../harness.ts";

const gpu = await testGpu();
const x = zeros(gpu, [2, 3]);

/** Calls what it's given. */
class Leaf extends Layer {
  readonly call: { readonly run: (x: Tensor) => Tensor };

  constructor(run: (x: Tensor) => Tensor) {
    super();
    this.call = { run };
  }

  override forward(x: Tensor): Tensor {
    return this.call.run(x);
  }
}

/** Adds what a subclass does to its input by the way of `super`. */
class Loud extends Leaf {
  override forward(x: Tensor): Tensor {
    return super.forward(x);
  }
}

class Block extends Module {
  readonly layers: readonly Layer[];

  constructor(layers: readonly Layer[]) {
    super();
    this.layers = layers;
  }

  forward(x: Tensor): Tensor {
    return this.layers.reduce((states, layer) => layer.forward(states), x);
  }
}

class Model extends Module {
  readonly encoder: Block;
  readonly head: Layer;

  constructor(encoder: Block, head: Layer) {
    super();
    this.encoder = encoder;
    this.head = head;
  }

  /** Not called `forward`, so that the path has a gap that is filled. */
  encode(x: Tensor): Tensor {
    return this.encoder.layers.reduce((states, layer) => layer.forward(states), x);
  }

  forward(x: Tensor): Tensor {
    return this.head.forward(this.encode(x));
  }
}

const same = new Leaf((x) => x);
const wide = new Linear(zeros(gpu, [4, 5]));
const messageOf = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.ok(error.stack!.includes(error.message), "what Node prints has the path");
    return error.message;
  }
  return assert.fail("nothing was thrown");
};
const reason = "Cannot apply a linear layer of weight [4, 5] to [2, 3]";

test("an error of a layer names it by its path in the outermost module", () => {
  const alone = messageOf(() => wide.forward(x));
  assert.ok(alone.startsWith(reason) && !alone.includes("("), alone);
  const block = new Block([same, wide]);
  assert.equal(messageOf(() => block.forward(x)), `${alone} (layers.1)`);
  const model = new Model(block, same);
  assert.equal(messageOf(() => model.forward(x)), `${alone} (encoder.layers.1)`);
  assert.equal(messageOf(() => new Model(new Block([]), wide).forward(x)), `${alone} (head)`);
  // Copies of the tree too.
  const copy = model.mapParameters((_, parameter) => parameter).mapModules((_, module) => module);
  assert.equal(messageOf(() => copy.forward(x)), `${alone} (encoder.layers.1)`);
});

test("an error of a module's own operation names that module, once where forward() calls that of its superclass", () => {
  const broken = new Loud((x) => add(x, zeros(gpu, [7])));
  const alone = messageOf(() => broken.forward(x));
  assert.equal(messageOf(() => new Block([broken]).forward(x)), `${alone} (layers.0)`);
});

test("an error that isn't of shapes or ranges, or isn't an error, is left as it is", () => {
  const lost = new Error("the device is lost");
  for (const thrown of [lost, "text", undefined]) {
    const block = new Block([
      new Leaf(() => {
        throw thrown;
      }),
    ]);
    assert.throws(() => block.forward(x), (error) => error === thrown);
  }
  assert.equal(lost.message, "the device is lost");
});

test("an error that comes from a module outside the tree names the part that called it", () => {
  const block = new Block([new Leaf((x) => wide.forward(x))]);
  const alone = messageOf(() => wide.forward(x));
  assert.equal(messageOf(() => new Model(block, same).forward(x)), `${alone} (encoder.layers.0)`);
});
