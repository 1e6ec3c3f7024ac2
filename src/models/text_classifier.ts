import {
  type Gpu,
  Linear,
  Module,
  randomKey,
  RandomStream,
  type Tensor,
  tensor,
  zeros,
} from "../engine/mod.ts";
import type { TextEncoder, TokenTensors } from "./encoder.ts";

/** Options of {@linkcode TextClassifier.create}. */
export interface TextClassifierOptions {
  /** Names of the classes, in the order of the logits. */
  readonly labels: readonly string[];
  /** Seed of the head's weights. */
  readonly seed: number;
}

/** Standard deviation of a new head's weights, as is usual for encoders. */
const headDeviation = 0.02;

/** An encoder with a linear classification head on its pooled features. */
export class TextClassifier extends Module {
  readonly encoder: TextEncoder;
  readonly head: Linear;
  readonly labels: readonly string[];

  constructor(encoder: TextEncoder, head: Linear, options: { readonly labels: readonly string[] }) {
    super();
    this.encoder = encoder;
    this.head = head;
    this.labels = options.labels;
  }

  /**
   * Puts a new head on an encoder: normal weights of deviation 0.02, zero bias.
   *
   * @throws {RangeError} with fewer than two labels.
   * @throws {TypeError} when a label is named twice.
   */
  static create(gpu: Gpu, encoder: TextEncoder, options: TextClassifierOptions): TextClassifier {
    const { labels, seed } = options;
    if (labels.length < 2) {
      throw new RangeError(`Cannot classify into ${labels.length} classes: expected at least 2 labels`);
    }
    if (new Set(labels).size !== labels.length) {
      throw new TypeError(`Cannot classify into ${labels.join(", ")}: a label is named twice`);
    }
    const stream = new RandomStream(randomKey(seed, "head"));
    const weights = Float32Array.from(
      { length: labels.length * encoder.hiddenSize },
      () => headDeviation * stream.normal(),
    );
    const head = new Linear(
      tensor(gpu, weights, { shape: [labels.length, encoder.hiddenSize] }),
      zeros(gpu, [labels.length]),
    );
    return new TextClassifier(encoder, head, { labels });
  }

  /** Logits [..., K] of texts [..., T]. */
  forward(tokens: TokenTensors): Tensor {
    return this.head.forward(this.encoder.pool(this.encoder.encode(tokens), tokens.mask));
  }

  /** The same classifier with its encoder's checkpointing on or off. */
  withCheckpointing(on: boolean): TextClassifier {
    return new TextClassifier(this.encoder.withCheckpointing(on), this.head, this);
  }

  /**
   * The number of a label.
   *
   * @throws {RangeError} when it's none of the classes.
   */
  labelId(label: string): number {
    const id = this.labels.indexOf(label);
    if (id < 0) throw new RangeError(`Cannot use label "${label}": the head knows ${this.labels.join(", ")}`);
    return id;
  }
}
