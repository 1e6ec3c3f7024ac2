import {
  add,
  assign,
  div,
  Embedding,
  type Gpu,
  LayerNorm,
  Linear,
  matmul,
  maximum,
  Module,
  mul,
  ones,
  reshape,
  sum,
  tanh,
  type Tensor,
  tensor,
} from "../../src/engine/mod.ts";
import {
  AttentionPoint,
  Backbone,
  LayerPoint,
  Texts,
  TokenPoint,
  type TokenTensors,
} from "../../src/models/mod.ts";
import { classification, createTaskSet, TaskModel, type TaskSet } from "../../src/tasks/mod.ts";
import { upload } from "../engine/harness.ts";
import { F64Array } from "../reference/array.ts";
import { gaussian } from "./matrices.ts";
import { Random } from "./random.ts";

/** Sizes of a {@link TinyEncoder}. */
export interface TinyEncoderOptions {
  readonly vocabulary?: number;
  readonly width?: number;
  readonly inner?: number;
  readonly seed?: number;
  /** Whether tokens attend to each other by their own states, with one head and no parameters; not by default. */
  readonly attention?: boolean;
}

/** Attention of one head among states as they are. */
class TinyAttention extends Module {
  readonly point: AttentionPoint;

  constructor(width: number) {
    super();
    this.point = new AttentionPoint({ width, heads: 1 });
  }

  /** x plus what it attends to. */
  forward(x: Tensor, texts: Texts): Tensor {
    // Handles of their own, as each of queries, keys and values is freed.
    const own = () => mul(x, 1);
    return add(x, texts.attend(own(), own(), { v: own(), point: this.point }));
  }
}

/**
 * An encoder of a few dimensions with one layer of each kind: h = norm(embedding), plus attention if it's asked for, h + outer(tanh(inner(h))),
 * mean pool.
 */
export class TinyEncoder extends Backbone {
  override readonly hiddenSize: number;
  override readonly packsTokens = true;
  override readonly adapterTargets = ["**.attention.*"];
  override readonly residualTargets = { attention: ["**.inner"], feedForward: ["**.outer"] };
  readonly embedding: Embedding;
  readonly norm: LayerNorm;
  readonly inner: Linear;
  readonly outer: Linear;
  readonly attention: TinyAttention | undefined;
  readonly tokenPoint: TokenPoint;
  readonly layerPoint: LayerPoint;

  constructor(gpu: Gpu, options: TinyEncoderOptions = {}) {
    super();
    const { vocabulary = 11, width = 6, inner = 5, seed = 1, attention = false } = options;
    const random = new Random(seed);
    const draw = (shape: readonly number[], scale: number) =>
      upload(gpu, F64Array.fromF32(shape, gaussian(shape, random).map((value) => value * scale).data));
    this.hiddenSize = width;
    this.embedding = new Embedding(draw([vocabulary, width], 1));
    this.norm = new LayerNorm(ones(gpu, [width]), draw([width], 0.1), { epsilon: 1e-6 });
    this.inner = new Linear(draw([inner, width], 1 / Math.sqrt(width)), draw([inner], 0.1));
    this.outer = new Linear(draw([width, inner], 1 / Math.sqrt(inner)), draw([width], 0.1));
    this.attention = attention ? new TinyAttention(width) : undefined;
    this.tokenPoint = new TokenPoint({ width });
    this.layerPoint = new LayerPoint({ width });
  }

  override get maxTokens(): number {
    return 64 - this.tokenPoint.count;
  }

  override encode(tokens: TokenTensors): Tensor {
    const { virtual, embeddings } = this.tokenPoint;
    const texts = new Texts(tokens, { virtual });
    const own = this.norm.forward(this.embedding.forward(texts.inputIds));
    const h = embeddings ? texts.join(embeddings, own) : own;
    return texts.own(this.through((x) => {
      const mixed = this.attention?.forward(x, texts) ?? x;
      return this.layerPoint.forward(add(mixed, this.outer.forward(tanh(this.inner.forward(mixed)))));
    }, h));
  }

  override pool(states: Tensor, { attentionMask }: TokenTensors): Tensor {
    const [length, width] = states.shape.slice(-2) as [number, number];
    const counts = maximum(sum(attentionMask, { axes: [-1], keepDims: true }), ones(attentionMask.gpu, [1]));
    const weights = reshape(div(attentionMask, counts), [-1, 1, length]);
    return reshape(matmul(weights, reshape(states, [-1, length, width])), [
      ...states.shape.slice(0, -2),
      width,
    ]);
  }
}

/** A {@link TinyEncoder} with a head of two or more classes. */
export function tinyClassifier(
  gpu: Gpu,
  options: TinyEncoderOptions & { readonly classes?: number } = {},
): TaskModel {
  const { classes = 3, seed = 1 } = options;
  const labels = Array.from({ length: classes }, (_, k) => `class ${k}`);
  return TaskModel.create(gpu, new TinyEncoder(gpu, options), { task: classification({ labels }), seed });
}

/** A classifier of two dimensions whose weight `encoder.inner` is diag(4, 1), of singular values 4 and 1 and vectors e₁ and e₂. */
export function diagonalClassifier(gpu: Gpu): TaskModel {
  const model = tinyClassifier(gpu, { width: 2, inner: 2, classes: 2 });
  const weight = new Map(model.namedParameters()).get("encoder.inner.weight")!;
  assign(weight, tensor(gpu, [4, 0, 0, 1], { shape: [2, 2] }));
  return model;
}

/** Options of {@link tinyTask}. */
export interface TinyTaskOptions {
  readonly size: number;
  readonly length?: number;
  readonly vocabulary?: number;
  readonly classes?: number;
  readonly seed?: number;
}

/** Texts of random tokens and lengths; an example's class is that of its first token, modulo the classes. */
export function tinyTask(options: TinyTaskOptions): TaskSet {
  const { size, length = 4, vocabulary = 11, classes = 3, seed = 1 } = options;
  const random = new Random(seed);
  const inputIds = new Uint32Array(size * length);
  const attentionMask = new Float32Array(size * length);
  const labels = new Int32Array(size);
  for (let i = 0; i < size; i++) {
    const tokens = 1 + random.integer(length);
    for (let t = 0; t < tokens; t++) {
      inputIds[i * length + t] = random.integer(vocabulary);
      attentionMask[i * length + t] = 1;
    }
    labels[i] = inputIds[i * length]! % classes;
  }
  return createTaskSet({ batchSize: size, length, inputIds, attentionMask }, { targets: labels });
}

/** Splits examples 0 to size among clients of random sizes, each at least 1. */
export function randomClients(size: number, clients: number, seed: number): number[][] {
  const random = new Random(seed);
  const groups: number[][] = Array.from({ length: clients }, (_, client) => [client]);
  for (let i = clients; i < size; i++) groups[random.integer(clients)]!.push(i);
  return groups;
}
