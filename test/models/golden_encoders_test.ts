import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import {
  AdamW,
  backward,
  crossEntropy,
  disposeAll,
  Linear,
  mean,
  type Tensor,
  tensor,
  tidy,
} from "../../src/engine/mod.ts";
import { LowRankLinear } from "../../src/federa/mod.ts";
import { toFloat32 } from "../../src/models/mod.ts";
import type { TaskModel } from "../../src/tasks/mod.ts";
import { testGpu } from "../engine/harness.ts";
import { maxAbsDifference } from "../support/compare.ts";
import { GoldenEncoder } from "../support/golden_encoder.ts";

const gpu = await testGpu();
const folder = new URL("../golden/encoders/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));

/**
 * States and outputs are of order 1, and both sides compute them in float32 by some 20 operations in a row, each of which adds
 * a few roundings of 6e-8; normalisation may magnify them a few times.
 */
const stateTolerance = 1e-5;
/** Of the gradient's length: it passes as many operations again, and adds up products that may cancel. */
const gradientTolerance = 1e-4;
/** Gradients that are 0 in exact arithmetic, as of the keys' biases, are noise of this size on both sides. */
const noise = 1e-6;
/** Adam divides by the root of squares, which makes a rounding of a small gradient one of the whole step. */
const lossTolerance = 1e-4;

/** The model, with the trained parameters replaced, and their names. */
function withLeaves(model: TaskModel, isTrained: (name: string) => boolean) {
  const leaves = new Map<string, Tensor>();
  const bound = model.mapParameters((name, parameter) => {
    if (!isTrained(name)) return parameter;
    const leaf = parameter.detach().requireGrad();
    leaves.set(name, leaf);
    return leaf;
  });
  return { bound, leaves };
}

function dispose(model: TaskModel): void {
  disposeAll([...model.namedParameters()].map(([, each]) => each));
}

for (const file of files) {
  const golden = new GoldenEncoder(new URL(file, folder));

  test(`${file}: states, outputs and the gradient of every parameter are those of transformers`, async () => {
    const plain = await golden.load(gpu);
    const { bound: model, leaves } = withLeaves(plain, () => true);
    const tokens = golden.tokens(gpu);
    const labels = golden.labels(gpu);
    const { states, logits, gradients } = tidy(() => {
      const states = model.encoder.encode(tokens);
      const logits = model.head.forward(states, tokens, model.encoder);
      const gradients = backward(mean(crossEntropy(logits, labels)), [...leaves.values()]);
      return { states, logits, gradients };
    });
    const [found, expected] = [await states.floats(), golden.values("states")].map((each) =>
      golden.tokensOf(each)
    );
    const stateError = maxAbsDifference(found!, expected!);
    const logitError = maxAbsDifference(await logits.floats(), golden.values("logits"));
    assert.ok(stateError <= stateTolerance, `states are off by ${stateError}`);
    assert.ok(logitError <= stateTolerance, `outputs are off by ${logitError}`);
    for (const [i, name] of [...leaves.keys()].entries()) {
      const found = await gradients[i]!.floats();
      const expected = golden.values(`gradient.${golden.referenceName(name)}`);
      assert.equal(found.length, expected.length, name);
      const error = Math.hypot(...found.map((value, k) => value - expected[k]!));
      const allowed = gradientTolerance * Math.hypot(...expected) + noise;
      assert.ok(error <= allowed, `gradient of ${name} is off by ${error}, allowed are ${allowed}`);
    }
    assert.equal(leaves.size, golden.checkpoint.size, "every tensor of the checkpoint has a gradient");
    disposeAll([states, logits, labels, ...gradients, ...leaves.values(), ...Object.values(tokens)]);
    dispose(plain);
  });

  test(`${file}: twenty steps of AdamW on LoRA and the head lose what they do with peft`, async () => {
    const { rank, alpha, learningRate, weightDecay } = golden.lora;
    const plain = await golden.load(gpu);
    // With the client axis, as in a block of one.
    const upload = (data: Float32Array, shape: readonly number[]) =>
      tensor(gpu, data, { shape: [1, ...shape] });
    const adapted = plain.mapModules((name, module) => {
      const [a, b] = [golden.factor("loraA", name), golden.factor("loraB", name)];
      if (!(module instanceof Linear) || a === undefined || b === undefined) return module;
      return new LowRankLinear({
        weight: module.weight,
        bias: module.bias,
        loraA: upload(toFloat32(a), a.shape),
        loraB: upload(toFloat32(b), b.shape),
        scaling: alpha / rank,
      });
    });
    const isHead = (name: string) => name.startsWith("head.");
    const isTrained = (name: string) => isHead(name) || /\.lora[AB]$/.test(name);
    const heads = new Map<string, Tensor>();
    for (const [name, each] of adapted.namedParameters()) {
      if (isHead(name)) heads.set(name, upload(await each.floats(), each.shape));
    }
    const { bound: model, leaves } = withLeaves(
      adapted.mapParameters((name, each) => heads.get(name) ?? each),
      isTrained,
    );
    const parameters = [...leaves.values()];
    const optimizer = new AdamW(parameters, { weightDecay });
    const tokens = golden.tokens(gpu, [1]);
    const labels = golden.labels(gpu, [1]);
    const losses: Tensor[] = [];
    for (let step = 0; step < golden.values("losses").length; step++) {
      losses.push(tidy(() => {
        const loss = mean(crossEntropy(model.forward(tokens), labels));
        optimizer.step(backward(loss, parameters), { learningRate });
        return loss.detach();
      }));
    }
    const found = await Promise.all(losses.map((loss) => loss.item()));
    const error = maxAbsDifference(found, golden.values("losses"));
    assert.ok(error <= lossTolerance, `losses are off by ${error}`);
    optimizer.dispose();
    disposeAll([...losses, ...parameters, ...heads.values(), labels, ...Object.values(tokens)]);
    dispose(adapted);
    dispose(plain);
  });
}

test("the golden encoders are of every family", () => {
  const found = new Set(files.map((file) => new GoldenEncoder(new URL(file, folder)).family.modelType));
  assert.ok(
    ["bert", "deberta-v2", "distilbert", "electra", "roberta", "xlm-roberta"].every((each) =>
      found.has(each)
    ),
  );
});
