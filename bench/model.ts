import { existsSync } from "node:fs";
import { join } from "node:path";
import { npmPackageFolder } from "../src/hub/npm/npm_package.ts";
import { type Gpu, randomKey, RandomStream, type Tensor } from "../src/engine/mod.ts";
import { fedIt } from "../src/fl/mod.ts";
import { loadUseLite, USE_LITE_PACKAGE, UseLite } from "../src/models/mod.ts";
import { classification, createTaskSet, TaskModel, type TaskSet } from "../src/tasks/mod.ts";
import { randomValues } from "./inputs.ts";

/** A model and what is trained of it. */
export interface BenchModel {
  readonly model: TaskModel;
  readonly trainable: ReadonlyMap<string, Tensor>;
}

const useLiteVocabularySize = 8002;

/** Universal Sentence Encoder lite under a head of two classes, its attention adapted by LoRA of rank 8. */
export async function createModel(gpu: Gpu, encoder: UseLite): Promise<BenchModel> {
  const method = fedIt({ targets: ["**.attention.*"], rank: 8, alpha: 8 });
  const { model, state } = await method.init(
    TaskModel.create(gpu, encoder, { task: classification({ labels: ["ham", "spam"] }), seed: 0 }),
    { seed: 0, numClients: 1 },
  );
  return { model, trainable: method.parameters(state) };
}

/** The encoder with its real weights where they are in the user cache; a benchmark downloads nothing for it. */
export async function createEncoder(
  gpu: Gpu,
): Promise<{ encoder: UseLite; weights: string }> {
  if (existsSync(join(npmPackageFolder(USE_LITE_PACKAGE), "package.tgz"))) {
    return {
      encoder: (await loadUseLite(gpu)).encoder,
      weights: "pretrained weights",
    };
  }
  const parameters = Object.entries(shapes()).map(([name, shape]) => {
    const data = name.endsWith("Norm.weight")
      ? new Float32Array(shape[0]!).fill(1)
      : randomValues(shape, 1 / Math.sqrt(shape.at(-1)!));
    return [name, { shape, data }] as const;
  });
  return {
    encoder: new UseLite(gpu, new Map(parameters)),
    weights: "random weights",
  };
}

function shapes(): Record<string, number[]> {
  const linear = (name: string, out: number, width: number) => ({
    [`${name}.weight`]: [out, width],
    [`${name}.bias`]: [out],
  });
  const norm = (name: string, width: number) => ({
    [`${name}.weight`]: [width],
    [`${name}.bias`]: [width],
  });
  const layer = (name: string, width: number) => ({
    ...norm(`${name}.attentionNorm`, width),
    ...linear(`${name}.attention.qkv`, 3 * width, width),
    ...linear(`${name}.attention.output`, 512, width),
    ...norm(`${name}.feedForwardNorm`, 512),
    ...linear(`${name}.feedForward.inner`, 1536, 512),
    ...linear(`${name}.feedForward.outer`, 512, 1536),
  });
  return {
    "embedding.weight": [useLiteVocabularySize, 256],
    "timing.inverseFrequencies": [128],
    ...linear("layers.0.residual", 512, 256),
    ...layer("layers.0", 256),
    ...layer("layers.1", 512),
    ...linear("pooler", 512, 512),
  };
}

/** Texts of random tokens, all of one length, every second one of the other class. */
export function randomTexts(
  size: number,
  length: number,
  vocabularySize = useLiteVocabularySize,
): TaskSet {
  const stream = new RandomStream(randomKey(0, "texts", size, length));
  const tokens = {
    batchSize: size,
    length,
    inputIds: Uint32Array.from(
      { length: size * length },
      () => Math.floor(stream.uniform(24) * vocabularySize),
    ),
    attentionMask: new Float32Array(size * length).fill(1),
  };
  return createTaskSet(tokens, { targets: Int32Array.from({ length: size }, (_, i) => i % 2) });
}
