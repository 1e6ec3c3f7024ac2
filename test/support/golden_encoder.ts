import { readFileSync } from "node:fs";
import { type Gpu, type Tensor, tensor } from "../../src/engine/mod.ts";
import {
  encoderFamilies,
  type EncoderFamily,
  loadEncoder,
  readSafetensors,
  type StoredTensor,
  toFloat32,
  type TokenTensors,
} from "../../src/models/mod.ts";
import { classification, TaskModel } from "../../src/tasks/mod.ts";
import { memoryWeights } from "./memory_weights.ts";

/** How the reference trained adapters. */
export interface GoldenLora {
  readonly rank: number;
  readonly alpha: number;
  readonly learningRate: number;
  readonly weightDecay: number;
}

/** A sequence classification model of `transformers`, what it computed, and the names of its parameters. */
export class GoldenEncoder {
  readonly family: EncoderFamily;
  readonly config: unknown;
  readonly lora: GoldenLora;
  /** The checkpoint. */
  readonly checkpoint: ReadonlyMap<string, StoredTensor>;
  readonly #golden: ReadonlyMap<string, StoredTensor>;

  constructor(path: URL) {
    const { tensors, metadata } = readSafetensors(readFileSync(path));
    const prefix = "golden.";
    const entries = [...tensors];
    this.checkpoint = new Map(entries.filter(([name]) => !name.startsWith(prefix)));
    this.#golden = new Map(
      entries.flatMap(([name, each]) => name.startsWith(prefix) ? [[name.slice(prefix.length), each]] : []),
    );
    this.config = JSON.parse(metadata.config!);
    this.lora = JSON.parse(metadata.lora!);
    const { model_type: modelType } = this.config as { model_type: string };
    const family = encoderFamilies.get(modelType);
    if (family === undefined) throw new RangeError(`${path}: no family ${modelType}`);
    this.family = family;
  }

  /** Values of a golden tensor. */
  values(name: string): Float32Array {
    return toFloat32(this.#golden.get(name)!);
  }

  /** Of states [..., T, D] those of tokens: what padding's are is no part of what a model promises. */
  tokensOf(states: Float32Array): Float32Array {
    const attentionMask = this.values("mask");
    const width = states.length / attentionMask.length;
    return states.filter((_, i) => attentionMask[Math.floor(i / width)] === 1);
  }

  /** Class numbers, with leading axes before those of the batch. */
  labels(gpu: Gpu, leading: readonly number[] = []): Tensor {
    const { data, shape } = this.#golden.get("labels")!;
    return tensor(gpu, data as Int32Array, { shape: [...leading, ...shape] });
  }

  /** The batch, with leading axes before its own. */
  tokens(gpu: Gpu, leading: readonly number[] = []): TokenTensors {
    const shape = [...leading, ...this.#golden.get("ids")!.shape];
    const integers = (name: string) =>
      tensor(gpu, Uint32Array.from(this.#golden.get(name)!.data as Int32Array), { shape });
    return {
      inputIds: integers("ids"),
      attentionMask: tensor(gpu, this.values("mask"), { shape }),
      ...this.#golden.has("types") && { tokenTypeIds: integers("types") },
    };
  }

  /** Values of a factor, by the reference's name of the module; undefined where that has no adapter. */
  factor(factor: "loraA" | "loraB", name: string): StoredTensor | undefined {
    return this.#golden.get(`${factor}.${this.referenceName(name)}`);
  }

  /** What the reference calls a parameter or a module of the task model. */
  referenceName(name: string): string {
    if (name.startsWith("encoder.")) return this.family.prefix + name.slice("encoder.".length);
    const [, layer, ...rest] = name.split(".");
    const names = this.family.architectures.sequenceClassification;
    return [names[layer as "output" | "dense"], ...rest].join(".");
  }

  /** The model with all of the checkpoint's weights. */
  async load(gpu: Gpu): Promise<TaskModel> {
    const config = this.family.parseConfig(this.config);
    const { encoder, skipped } = await loadEncoder(gpu, memoryWeights(this.checkpoint), {
      family: this.family,
      config,
    });
    const model = TaskModel.create(gpu, encoder, {
      task: classification({ labels: ["no", "yes", "maybe"] }),
      seed: 1,
    });
    const heads = new Set(skipped);
    const loaded = model.mapParameters((name, parameter) => {
      if (!name.startsWith("head.")) return parameter;
      parameter.dispose();
      const stored = this.checkpoint.get(this.referenceName(name))!;
      heads.delete(this.referenceName(name));
      return tensor(gpu, toFloat32(stored), { shape: stored.shape });
    });
    if (heads.size > 0) throw new RangeError(`Nobody took ${[...heads].join(", ")}`);
    return loaded;
  }
}
