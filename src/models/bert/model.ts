import { disposeAll, type Linear, Module, type Shape, tanh, type Tensor } from "../../engine/mod.ts";
import { checkEncoderParameters, type EncoderFamily, type EncoderOptions } from "../family.ts";
import type { TokenTensors } from "../inputs.ts";
import type { EncoderParameters } from "../parameters.ts";
import { firstToken } from "../pooling.ts";
import type { Texts } from "../texts.ts";
import { BertEmbeddings } from "../transformer/embeddings.ts";
import { TransformerEncoder } from "../transformer/encoder.ts";
import { bertLayers, type LayerStack } from "../transformer/layers.ts";
import { Parts } from "../transformer/parts.ts";
import { addBertEmbeddings, addBertLayers, ShapeList } from "../transformer/shapes.ts";
import { type BertConfig, parseBertConfig } from "./config.ts";

/** Options of {@linkcode Bert}. */
export interface BertOptions extends EncoderOptions {
  readonly config: BertConfig;
}

/** The dense layer that some checkpoints have for the first token's state. */
class BertPooler extends Module {
  readonly dense: Linear;

  constructor(parts: Parts) {
    super();
    this.dense = parts.linear("pooler.dense");
  }

  forward(states: Tensor): Tensor {
    return tanh(this.dense.forward(firstToken(states)));
  }
}

/**
 * BERT (Devlin et al., arXiv 1810.04805): embeddings of words, positions and token types, then layers of self-attention and
 * a feed-forward layer, each followed by a residual and layer normalisation. Modules and parameters have the names that
 * Hugging Face checkpoints give them, as `encoder.layer.0.attention.self.query.weight`.
 *
 * @example
 * ```ts no-run
 * const config = parseBertConfig(JSON.parse(text));
 * const parameters = randomParameters(bertFamily.parameterShapes(config), { seed: 0, name: "bert" });
 * const bert = new Bert(uploadParameters(gpu, parameters), { config });
 * const states = bert.encode({ inputIds, attentionMask });
 * ```
 */
export class Bert extends TransformerEncoder<BertConfig> {
  readonly embeddings: BertEmbeddings;
  readonly encoder: LayerStack;
  override readonly pooler: BertPooler | undefined;

  /**
   * Takes over parameters.
   *
   * @throws {ParameterMismatchError} listing all that are missing, too many or of another shape.
   * @throws {TypeError} when it should pool by a dense layer that the parameters don't have.
   */
  constructor(parameters: EncoderParameters, { config, pooling }: BertOptions) {
    const parts = new Parts(parameters, config);
    const hasPooler = parts.has("pooler.dense.weight");
    super({
      config,
      pooling,
      hasPooler,
      maxTokens: config.maxPositionEmbeddings,
    });
    checkEncoderParameters(parameters, bertFamily, { config });
    this.embeddings = new BertEmbeddings(parts);
    this.encoder = bertLayers(parts, config);
    const pooler = hasPooler ? new BertPooler(parts) : undefined;
    this.pooler = this.pooling === "pooler" ? pooler : undefined;
    if (this.pooler === undefined && pooler) {
      disposeAll([...pooler.namedParameters()].map(([, each]) => each));
    }
  }

  protected override get layers(): LayerStack {
    return this.encoder;
  }

  override get numTypes(): number {
    return this.config.typeVocabSize;
  }

  protected override embed(texts: Texts): Tensor {
    return this.embeddings.forward(texts.inputIds, texts);
  }

  override pool(states: Tensor, tokens: TokenTensors): Tensor {
    return this.pooling === "pooler" ? this.pooler!.forward(states) : super.pool(states, tokens);
  }
}

/** BERT, and what has its shape: MiniLM, BGE, E5 and most sentence encoders. */
export const bertFamily: EncoderFamily<BertConfig> = {
  modelType: "bert",
  title: "BERT",
  architecture: "BertModel",
  prefix: "bert.",
  architectures: {
    sequenceClassification: { architecture: "BertForSequenceClassification", output: "classifier" },
    tokenClassification: { architecture: "BertForTokenClassification", output: "classifier" },
    questionAnswering: { architecture: "BertForQuestionAnswering", output: "qa_outputs" },
  },
  parseConfig: parseBertConfig,
  parameterShapes(config, { pooler = false } = {}): Map<string, Shape> {
    const { hiddenSize, typeVocabSize } = config;
    const list = new ShapeList();
    addBertEmbeddings(list, config, { typeVocabSize, width: hiddenSize });
    addBertLayers(list, config);
    if (pooler) list.linear("pooler.dense", hiddenSize, hiddenSize);
    return list.shapes;
  },
  create: (parameters, config, options) => new Bert(parameters, { config, ...options }),
};
