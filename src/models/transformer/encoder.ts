import { formatShape, type Tensor } from "../../engine/mod.ts";
import { Backbone, type HeadActivation, type ResidualTargets } from "../backbone.ts";
import type { Column, TokenColumns, TokenTensors } from "../inputs.ts";
import { firstToken, meanPool, type Pooling } from "../pooling.ts";
import { Texts } from "../texts.ts";
import type { TransformerConfig } from "./config.ts";
import type { BertEmbeddings } from "./embeddings.ts";
import type { LayerStack } from "./layers.ts";

/** Options of {@linkcode TransformerEncoder}. */
export interface TransformerEncoderOptions<Config extends TransformerConfig> {
  readonly config: Config;
  /** As in {@linkcode EncoderOptions}. */
  readonly pooling: Pooling | undefined;
  /** The activation of the family's own two-layer classification head, where it has one. */
  readonly headActivation?: HeadActivation;
  /** Whether the encoder has a pooler. */
  readonly hasPooler?: boolean;
  /** The most tokens a text may have. */
  readonly maxTokens: number;
}

/** An encoder that embeds tokens and then runs a stack of layers, in which each token attends to all that aren't padding. */
export abstract class TransformerEncoder<Config extends TransformerConfig = TransformerConfig>
  extends Backbone {
  override readonly hiddenSize: number;
  /** Positions that tokens may have, virtual ones too. */
  readonly positions: number;
  abstract readonly embeddings: BertEmbeddings;
  override readonly headActivation: HeadActivation | undefined;
  override readonly packsTokens = true;
  override readonly adapterTargets: readonly string[] = ["**.encoder.layer.**"];
  override readonly residualTargets: ResidualTargets = {
    attention: ["**.layer.*.attention.output.dense"],
    feedForward: ["**.layer.*.output.dense"],
  };
  readonly config: Config;
  /** How {@linkcode Backbone.pool} makes one vector of a text's token states. */
  readonly pooling: Pooling;

  /** @throws {TypeError} when it should pool by a pooler that it doesn't have. */
  constructor(options: TransformerEncoderOptions<Config>) {
    super();
    const { config, pooling, headActivation, hasPooler = false, maxTokens } = options;
    if (pooling === "pooler" && !hasPooler) {
      throw new TypeError(
        "Cannot pool by pooler.dense: the parameters have none; expected pooling mean or cls",
      );
    }
    this.hiddenSize = config.hiddenSize;
    this.positions = maxTokens;
    this.config = config;
    this.pooling = pooling ?? (hasPooler ? "pooler" : "mean");
    this.headActivation = pooling === undefined ? headActivation : undefined;
  }

  override get maxTokens(): number {
    return this.positions - this.embeddings.point.count;
  }

  /** The stack of layers. */
  protected abstract get layers(): Pick<LayerStack, "forward">;

  /** The rows of states that the layers start from, [..., R, hiddenSize]. */
  protected abstract embed(texts: Texts, tokens: TokenTensors): Tensor;

  /** The states of virtual tokens that the layers start from, [P, hiddenSize] or [C, P, hiddenSize]. */
  protected embedVirtual(): Tensor {
    return this.embeddings.virtual();
  }

  override checkInputs({ inputIds, tokenTypeIds }: TokenColumns): void {
    const { vocabSize } = this.config;
    const beyond = ({ data, shape }: Column, limit: number, what: string) => {
      const at = data.findIndex((value) => value >= limit);
      if (at < 0) return;
      const length = shape[0]!;
      throw new RangeError(
        `Cannot encode row ${Math.floor(at / length)}: token ${at % length} has the ${what} ${
          data[at]
        }, and the encoder has ` +
          `embeddings for 0 to ${
            limit - 1
          }; the tokenizer belongs to another model, or has tokens that were added without ` +
          "resizing the embeddings",
      );
    };
    beyond(inputIds, vocabSize, "id");
    if (this.numTypes !== undefined && tokenTypeIds) beyond(tokenTypeIds, this.numTypes, "type");
  }

  /**
   * Token states [..., T, hiddenSize].
   *
   * @throws {RangeError} when texts have no tokens, or more than {@linkcode Backbone.maxTokens}.
   */
  override encode(tokens: TokenTensors): Tensor {
    checkLength(tokens.inputIds, this.maxTokens);
    const { virtual } = this.embeddings.point;
    const texts = new Texts(tokens, { virtual });
    const own = this.embed(texts, tokens);
    const rows = virtual === 0 ? own : texts.join(this.embedVirtual(), own);
    return texts.own(this.layers.forward(rows, texts, this.through.bind(this)));
  }

  /** One vector a text, [..., hiddenSize]. */
  override pool(states: Tensor, { attentionMask }: TokenTensors): Tensor {
    return this.pooling === "mean" ? meanPool(states, attentionMask) : firstToken(states);
  }
}

/**
 * Checks the number of tokens of texts.
 *
 * @throws {RangeError} when it's 0, or more than `maxTokens`.
 */
export function checkLength(inputIds: Tensor, maxTokens: number): void {
  const length = inputIds.shape.at(-1) ?? 0;
  if (length < 1 || length > maxTokens) {
    throw new RangeError(
      `Cannot encode texts of shape ${formatShape(inputIds.shape)}: expected 1 to ${maxTokens} tokens`,
    );
  }
}
