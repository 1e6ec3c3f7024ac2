import { type Tensor, tokenPositions } from "../../engine/mod.ts";
import {
  checkEncoderParameters,
  type EncoderFamily,
  type EncoderOptions,
  type TaskArchitectures,
} from "../family.ts";
import type { EncoderParameters } from "../parameters.ts";
import type { TokenTensors } from "../inputs.ts";
import { packTokens, type Texts } from "../texts.ts";
import { BertEmbeddings } from "../transformer/embeddings.ts";
import { TransformerEncoder } from "../transformer/encoder.ts";
import { bertLayers, type LayerStack } from "../transformer/layers.ts";
import { Parts } from "../transformer/parts.ts";
import { addBertEmbeddings, addBertLayers, ShapeList } from "../transformer/shapes.ts";
import { parseRobertaConfig, type RobertaConfig, robertaTitles, type RobertaType } from "./config.ts";

/** Options of {@linkcode Roberta}. */
export interface RobertaOptions extends EncoderOptions {
  readonly config: RobertaConfig;
  /** Which of the families it is; `roberta` by default. */
  readonly modelType?: RobertaType;
}

/**
 * RoBERTa (Liu et al., arXiv 1907.11692) and XLM-RoBERTa (Conneau et al., arXiv 1911.02116): BERT's layers with positions that
 * begin after the id of padding, and a classification head on the first token's state.
 */
export class Roberta extends TransformerEncoder<RobertaConfig> {
  readonly embeddings: BertEmbeddings;
  readonly encoder: LayerStack;

  /**
   * Takes over parameters.
   *
   * @throws {ParameterMismatchError} listing all that are missing, too many or of another shape.
   * @throws {TypeError} when it should pool by a dense layer, which it has none of.
   */
  constructor(parameters: EncoderParameters, options: RobertaOptions) {
    const { config, pooling, modelType = "roberta" } = options;
    super({
      config,
      pooling,
      headActivation: "tanh",
      maxTokens: config.maxPositionEmbeddings - config.padTokenId - 1,
    });
    checkEncoderParameters(parameters, robertaFamilies[modelType], { config });
    const parts = new Parts(parameters, config);
    this.embeddings = new BertEmbeddings(parts);
    this.encoder = bertLayers(parts, config);
  }

  protected override get layers(): LayerStack {
    return this.encoder;
  }

  override get numTypes(): number | undefined {
    // With one token type, the parts of a pair have the same type.
    return this.config.typeVocabSize > 1 ? this.config.typeVocabSize : undefined;
  }

  protected override embed(texts: Texts, tokens: TokenTensors): Tensor {
    const positions = tokenPositions(tokens.inputIds, { padding: this.config.padTokenId });
    return this.embeddings.forward(texts.inputIds, {
      positions: packTokens(positions, tokens),
      tokenTypeIds: this.numTypes === undefined ? undefined : texts.tokenTypeIds,
    });
  }

  protected override embedVirtual(): Tensor {
    return this.embeddings.virtual(this.config.padTokenId + 1);
  }
}

function architectures(name: string): TaskArchitectures {
  return {
    sequenceClassification: {
      architecture: `${name}ForSequenceClassification`,
      dense: "classifier.dense",
      output: "classifier.out_proj",
    },
    tokenClassification: { architecture: `${name}ForTokenClassification`, output: "classifier" },
    questionAnswering: { architecture: `${name}ForQuestionAnswering`, output: "qa_outputs" },
  };
}

function familyOf(modelType: RobertaType, name: string): EncoderFamily<RobertaConfig> {
  return {
    modelType,
    title: robertaTitles[modelType],
    architecture: `${name}Model`,
    prefix: "roberta.",
    architectures: architectures(name),
    parseConfig: (value) => parseRobertaConfig(value, { modelType }),
    parameterShapes(config) {
      const list = new ShapeList();
      addBertEmbeddings(list, config, { typeVocabSize: config.typeVocabSize, width: config.hiddenSize });
      addBertLayers(list, config);
      return list.shapes;
    },
    create: (parameters, config, options) => new Roberta(parameters, { config, modelType, ...options }),
  };
}

/** RoBERTa and XLM-RoBERTa. Their poolers, which their own task models don't use, are left out. */
export const robertaFamilies: Readonly<Record<RobertaType, EncoderFamily<RobertaConfig>>> = {
  roberta: familyOf("roberta", "Roberta"),
  "xlm-roberta": familyOf("xlm-roberta", "XLMRoberta"),
};
