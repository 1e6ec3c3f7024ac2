import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tensor } from "../../../../src/engine/mod.ts";
import { isHead, type Method, simulate } from "../../../../src/fl/mod.ts";
import { disposeOwn } from "../../../../src/fl/own_parameters.ts";
import type { Tensors } from "../../../../src/fl/tensors.ts";
import type { TaskModel } from "../../../../src/tasks/mod.ts";
import { adaptedModules, merge } from "../../../../src/federa/mod.ts";
import { bitsOf, run, testGpu } from "../../../engine/harness.ts";
import { checkAdapterFile } from "../../../support/adapter_file.ts";
import { drawTexts, uploadTexts } from "../../../support/bert.ts";
import { methodOn } from "../../../support/methods.ts";
import { encoderNames, tinyFamilyClassifier } from "../../../support/tiny_families.ts";
import { randomClients, tinyTask } from "../../../support/tiny_encoder.ts";

// Holds of every set of parameters that a federation may train, on every family of encoders.
const gpu = await testGpu();
const [layers, hidden] = [2, 12];

/** What is known of a set. */
interface TrainableSet {
  readonly method: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Parameters beside the head, of an encoder of the tiny families. */
  size(encoder: string): number;
  /** Whether outputs are the pretrained model's at the start. */
  readonly startsEqual: boolean;
  /** Encoders that it doesn't fit. */
  readonly not?: readonly string[];
}

/** Of all layer normalisations: BERT's 2·L + 1, one more of DeBERTa's distances, ELECTRA's first one of 8, USE lite's 4. */
const norms = (encoder: string) =>
  encoder === "use-lite"
    ? 2 * (256 + 3 * 512)
    : 2 * (hidden * (2 * layers + (encoder === "deberta-v2" ? 2 : 1)) - (encoder === "electra" ? 4 : 0));
const widthOf = (encoder: string) => encoder === "use-lite" ? 512 : hidden;
const headsOf = (encoder: string) => encoder === "use-lite" ? 4 : 3;
const embeddingOf = (encoder: string) => ({ "use-lite": 256, electra: 8 })[encoder] ?? hidden;
/** 2·d·m + d + m. */
const bottleneck = (encoder: string, m: number) => 2 * widthOf(encoder) * m + widthOf(encoder) + m;

const sets: readonly TrainableSet[] = [
  { method: "ln-tune", options: {}, size: norms, startsEqual: true },
  {
    method: "fedap",
    options: { placement: "houlsby", bottleneck: 3 },
    size: (encoder) => layers * 2 * bottleneck(encoder, 3) + norms(encoder),
    startsEqual: true,
  },
  {
    method: "fedap",
    options: { placement: "pfeiffer", bottleneck: 5 },
    size: (encoder) => layers * bottleneck(encoder, 5),
    startsEqual: true,
  },
  {
    method: "attn-scale",
    options: {},
    size: (encoder) => layers * (headsOf(encoder) + widthOf(encoder)),
    startsEqual: true,
  },
  {
    method: "attn-scale",
    options: { scaled: "logits", offsets: false },
    size: (encoder) => layers * headsOf(encoder),
    startsEqual: true,
  },
  {
    method: "prompt-tuning",
    options: { tokens: 5 },
    size: (encoder) => 5 * embeddingOf(encoder),
    startsEqual: false,
  },
  {
    method: "prefix-tuning",
    options: { tokens: 3 },
    size: (encoder) => encoder === "use-lite" ? 3 * 2 * (256 + 512) : 3 * 2 * layers * hidden,
    startsEqual: false,
    not: ["deberta-v2"],
  },
];

const titleOf = ({ method, options }: TrainableSet) => `${method} ${JSON.stringify(options)}`;

async function begin(method: Method, pretrained: TaskModel) {
  const { model, state } = await method.init(pretrained, { seed: 3, numClients: 3 });
  return { model, global: method.parameters(state) };
}

const outputs = (model: TaskModel, pretrained: TaskModel) =>
  run(gpu, () => {
    const texts = drawTexts({ vocabSize: 23, typeVocabSize: 1 }, [5, 9, 1], 4);
    return (model === pretrained ? pretrained : model).forward(uploadTexts(gpu, texts));
  });

const sizeOf = (tensors: Iterable<readonly [string, Tensor]>) =>
  [...tensors].reduce((sum, [name, { size }]) => isHead(name) ? sum : sum + size, 0);

/** Those of layers of their own; the others have BERT's, and USE lite its size. */
const few = ["bert", "distilbert", "deberta-v2"];
const encoders = new Map(encoderNames.map((name) => [name, tinyFamilyClassifier(gpu, name)]));

for (const set of sets) {
  test(`${titleOf(set)}: parameters by a closed formula, and where it starts, on every family`, async () => {
    for (const [encoder, pretrained] of encoders) {
      const before = gpu.stats().liveBytes;
      const method = methodOn(set.method, set.options);
      if (set.not?.includes(encoder)) {
        assert.throws(() => method.check(pretrained), /expected attention that takes them/);
        continue;
      }
      const { model, global } = await begin(method, pretrained);
      method.check(pretrained);
      assert.equal(sizeOf(global), set.size(encoder), encoder);
      const [start, wanted] = [await outputs(model, pretrained), await outputs(pretrained, pretrained)];
      if (set.startsEqual) assert.deepEqual(bitsOf(start), bitsOf(wanted), encoder);
      else assert.notDeepEqual(bitsOf(start), bitsOf(wanted), encoder);
      disposeOwn(model, pretrained);
      assert.equal(gpu.stats().liveBytes, before, encoder);
    }
  });
}

/** Texts of a few lengths, so that tokens are packed; a batch of all-long texts isn't. */
const train = tinyTask({ size: 20, length: 7, vocabulary: 23, seed: 1 });
const clients = randomClients(train.size, 3, 1);

/** The bits of what is trained after two rounds. */
async function trained(
  pretrained: TaskModel,
  method: Method,
  options: { blockSize: number; checkpointing?: boolean },
) {
  let global: Tensors = new Map();
  const found = new Map<string, Uint32Array>();
  for await (
    const event of simulate(pretrained, {
      ...options,
      method,
      train,
      test: train,
      evaluateEvery: 0,
      clients,
      rounds: 2,
      work: { steps: 2 },
      batchSize: 4,
      optimizer: { name: "sgd" },
      learningRate: 0.05,
      seed: 1,
    })
  ) {
    if (event.type !== "finished") continue;
    global = new Map(event.model.namedParameters());
    const own = new Set([...pretrained.namedParameters()].map(([, each]) => each));
    for (const [name, each] of global) {
      if (!own.has(each)) found.set(name, bitsOf(await each.floats()));
    }
    disposeOwn(event.model, pretrained);
  }
  return found;
}

for (const set of sets) {
  test(`${titleOf(set)}: blocks train as clients do one at a time, with checkpointing too, and every part of it moves`, async () => {
    for (const encoder of few.filter((each) => !set.not?.includes(each))) {
      const pretrained = encoders.get(encoder)!;
      const method = methodOn(set.method, set.options);
      const together = await trained(pretrained, method, { blockSize: 3 });
      assert.deepEqual(
        await trained(pretrained, method, { blockSize: 1, checkpointing: true }),
        together,
        encoder,
      );
      const { model } = await begin(method, pretrained);
      for (const [name, each] of model.namedParameters()) {
        if (!together.has(name)) continue;
        const [start, end] = [bitsOf(await each.floats()), together.get(name)!];
        assert.ok(end.some((bits, i) => bits !== start[i]), `${encoder}: ${name} stays`);
      }
      disposeOwn(model, pretrained);
    }
  });
}

for (const set of sets) {
  test(`${titleOf(set)}: a file gives back every bit, or parameters alone differ`, async () => {
    for (const encoder of few.filter((each) => !set.not?.includes(each))) {
      const pretrained = encoders.get(encoder)!;
      const { model } = await begin(methodOn(set.method, set.options), pretrained);
      if (adaptedModules(model).size === 0) assert.equal(set.method, "ln-tune");
      else {
        const { loaded } = await checkAdapterFile(model, pretrained);
        assert.deepEqual(
          bitsOf(await outputs(loaded, pretrained)),
          bitsOf(await outputs(model, pretrained)),
          encoder,
        );
        disposeOwn(loaded, pretrained);
        assert.throws(() => merge(model), {
          name: "UnmergeableError",
          message: /Cannot merge the model: no ordinary/,
        });
      }
      disposeOwn(model, pretrained);
    }
  });
}

test("simulate() refuses texts that don't fit behind what a method puts in front of them, before anything is trained", async () => {
  const pretrained = encoders.get("bert")!;
  for (const name of ["prompt-tuning", "prefix-tuning"]) {
    // BERT's 18 positions hold 11 before texts of 7 tokens, and no more.
    await trained(pretrained, methodOn(name, { tokens: 11 }), { blockSize: 3 });
    await assert.rejects(trained(pretrained, methodOn(name, { tokens: 12 }), { blockSize: 3 }), {
      name: "RangeError",
      message:
        /Cannot put the 12 positions of .* in front of texts of 7 tokens: the encoder reads at most 18 in all/,
    });
    assert.throws(() => methodOn(name, { tokens: 18 }).check(pretrained), {
      name: "RangeError",
      message:
        /Cannot put 18 virtual tokens in front of texts: the encoder reads at most 18 tokens, these included/,
    });
  }
});
