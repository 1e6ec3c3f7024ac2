import type { Linear, Tensor } from "../../engine/mod.ts";
import { checkEncoderParameters, type EncoderFamily, type EncoderOptions } from "../family.ts";
import type { EncoderParameters } from "../parameters.ts";
import type { Texts } from "../texts.ts";
import { BertEmbeddings } from "../transformer/embeddings.ts";
import { TransformerEncoder } from "../transformer/encoder.ts";
import { bertLayers, type LayerStack } from "../transformer/layers.ts";
import { Parts } from "../transformer/parts.ts";
import { addBertEmbeddings, addBertLayers, ShapeList } from "../transformer/shapes.ts";
import { type ElectraConfig, parseElectraConfig } from "./config.ts";

/** Options of {@linkcode Electra}. */
export interface ElectraOptions extends EncoderOptions {
  readonly config: ElectraConfig;
}

/**
 * ELECTRA (Clark et al., arXiv 2003.10555), of which the discriminator is what one fine-tunes: BERT's layers on embeddings that
 * may be narrower, and a classification head on the first token's state.
 */
export class Electra extends TransformerEncoder<ElectraConfig> {
  readonly embeddings: BertEmbeddings;
  /** Weight [hiddenSize, embeddingSize]; none where these are equal. */
  readonly embeddings_project: Linear | undefined;
  readonly encoder: LayerStack;

  /**
   * Takes over parameters.
   *
   * @throws {ParameterMismatchError} listing all that are missing, too many or of another shape.
   * @throws {TypeError} when it should pool by a dense layer, which it has none of.
   */
  constructor(parameters: EncoderParameters, { config, pooling }: ElectraOptions) {
    super({ config, pooling, headActivation: "gelu", maxTokens: config.maxPositionEmbeddings });
    checkEncoderParameters(parameters, electraFamily, { config });
    const parts = new Parts(parameters, config);
    this.embeddings = new BertEmbeddings(parts);
    this.embeddings_project = config.embeddingSize === config.hiddenSize
      ? undefined
      : parts.linear("embeddings_project");
    this.encoder = bertLayers(parts, config);
  }

  protected override get layers(): LayerStack {
    return this.encoder;
  }

  override get numTypes(): number {
    return this.config.typeVocabSize;
  }

  protected override embed(texts: Texts): Tensor {
    const embedded = this.embeddings.forward(texts.inputIds, texts);
    return this.embeddings_project?.forward(embedded) ?? embedded;
  }

  protected override embedVirtual(): Tensor {
    const embedded = super.embedVirtual();
    return this.embeddings_project?.forward(embedded) ?? embedded;
  }
}

/** ELECTRA. */
export const electraFamily: EncoderFamily<ElectraConfig> = {
  modelType: "electra",
  title: "ELECTRA",
  architecture: "ElectraModel",
  prefix: "electra.",
  architectures: {
    sequenceClassification: {
      architecture: "ElectraForSequenceClassification",
      dense: "classifier.dense",
      output: "classifier.out_proj",
    },
    tokenClassification: { architecture: "ElectraForTokenClassification", output: "classifier" },
    questionAnswering: { architecture: "ElectraForQuestionAnswering", output: "qa_outputs" },
  },
  parseConfig: parseElectraConfig,
  parameterShapes(config) {
    const { hiddenSize, embeddingSize, typeVocabSize } = config;
    const list = new ShapeList();
    addBertEmbeddings(list, config, { typeVocabSize, width: embeddingSize });
    if (embeddingSize !== hiddenSize) list.linear("embeddings_project", hiddenSize, embeddingSize);
    addBertLayers(list, config);
    return list.shapes;
  },
  create: (parameters, config, options) => new Electra(parameters, { config, ...options }),
};
