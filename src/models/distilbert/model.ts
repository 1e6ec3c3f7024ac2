import type { Tensor } from "../../engine/mod.ts";
import { checkEncoderParameters, type EncoderFamily, type EncoderOptions } from "../family.ts";
import type { EncoderParameters } from "../parameters.ts";
import type { Texts } from "../texts.ts";
import { BertEmbeddings } from "../transformer/embeddings.ts";
import { TransformerEncoder } from "../transformer/encoder.ts";
import { LayerStack } from "../transformer/layers.ts";
import { Parts } from "../transformer/parts.ts";
import { addBertEmbeddings, ShapeList } from "../transformer/shapes.ts";
import { type DistilBertConfig, parseDistilBertConfig } from "./config.ts";
import { DistilBertLayer } from "./layers.ts";

/** Options of {@linkcode DistilBert}. */
export interface DistilBertOptions extends EncoderOptions {
  readonly config: DistilBertConfig;
}

/**
 * DistilBERT (Sanh et al., arXiv 1910.01108): BERT's layers under other names, without token types, and a classification head
 * on the first token's state.
 */
export class DistilBert extends TransformerEncoder<DistilBertConfig> {
  override readonly adapterTargets = ["**.transformer.layer.**"];
  override readonly residualTargets = { attention: ["**.attention.out_lin"], feedForward: ["**.ffn.lin2"] };
  readonly embeddings: BertEmbeddings;
  readonly transformer: LayerStack;

  /**
   * Takes over parameters.
   *
   * @throws {ParameterMismatchError} listing all that are missing, too many or of another shape.
   * @throws {TypeError} when it should pool by a dense layer, which it has none of.
   */
  constructor(parameters: EncoderParameters, { config, pooling }: DistilBertOptions) {
    super({ config, pooling, headActivation: "relu", maxTokens: config.maxPositionEmbeddings });
    checkEncoderParameters(parameters, distilBertFamily, { config });
    const parts = new Parts(parameters, config);
    this.embeddings = new BertEmbeddings(parts);
    this.transformer = new LayerStack(
      Array.from(
        { length: config.numHiddenLayers },
        (_, i) => new DistilBertLayer(parts, `transformer.layer.${i}`, config),
      ),
    );
  }

  protected override get layers(): LayerStack {
    return this.transformer;
  }

  protected override embed({ inputIds, positions }: Texts): Tensor {
    return this.embeddings.forward(inputIds, { positions });
  }
}

/** DistilBERT. */
export const distilBertFamily: EncoderFamily<DistilBertConfig> = {
  modelType: "distilbert",
  title: "DistilBERT",
  architecture: "DistilBertModel",
  prefix: "distilbert.",
  architectures: {
    sequenceClassification: {
      architecture: "DistilBertForSequenceClassification",
      dense: "pre_classifier",
      output: "classifier",
    },
    tokenClassification: { architecture: "DistilBertForTokenClassification", output: "classifier" },
    questionAnswering: { architecture: "DistilBertForQuestionAnswering", output: "qa_outputs" },
  },
  parseConfig: parseDistilBertConfig,
  parameterShapes(config) {
    const { hiddenSize, intermediateSize, numHiddenLayers } = config;
    const list = new ShapeList();
    addBertEmbeddings(list, config, { typeVocabSize: 0, width: hiddenSize });
    for (let i = 0; i < numHiddenLayers; i++) {
      const layer = `transformer.layer.${i}`;
      for (const each of ["q_lin", "k_lin", "v_lin", "out_lin"]) {
        list.linear(`${layer}.attention.${each}`, hiddenSize, hiddenSize);
      }
      list.norm(`${layer}.sa_layer_norm`, hiddenSize)
        .linear(`${layer}.ffn.lin1`, intermediateSize, hiddenSize)
        .linear(`${layer}.ffn.lin2`, hiddenSize, intermediateSize)
        .norm(`${layer}.output_layer_norm`, hiddenSize);
    }
    return list.shapes;
  },
  create: (parameters, config, options) => new DistilBert(parameters, { config, ...options }),
};
