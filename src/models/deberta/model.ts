import { mul, reshape, type Shape, type Tensor } from "../../engine/mod.ts";
import { checkEncoderParameters, type EncoderFamily, type EncoderOptions } from "../family.ts";
import type { EncoderParameters } from "../parameters.ts";
import type { TokenTensors } from "../inputs.ts";
import { packTokens, type Texts } from "../texts.ts";
import { BertEmbeddings } from "../transformer/embeddings.ts";
import { TransformerEncoder } from "../transformer/encoder.ts";
import { Parts } from "../transformer/parts.ts";
import { ShapeList } from "../transformer/shapes.ts";
import { type DebertaV2Config, parseDebertaV2Config } from "./config.ts";
import { distanceSpan } from "./distances.ts";
import { DebertaStack } from "./layers.ts";

/** Options of {@linkcode DebertaV2}. */
export interface DebertaV2Options extends EncoderOptions {
  readonly config: DebertaV2Config;
}

/**
 * DeBERTa-v2 and v3 (He et al., arXiv 2006.03654 and 2111.09543): a BERT whose attention scores are sums of how
 * contents match each other, and how each matches the distance to the other. Names are those of Hugging Face checkpoints, as
 * `encoder.layer.0.attention.self.query_proj.weight`.
 *
 * @example
 * ```ts no-run
 * const config = parseDebertaV2Config(JSON.parse(text));
 * const parameters = randomParameters(debertaV2Family.parameterShapes(config), { seed: 0, name: "deberta-v2" });
 * const encoder = new DebertaV2(uploadParameters(gpu, parameters), { config });
 * ```
 */
export class DebertaV2 extends TransformerEncoder<DebertaV2Config> {
  readonly embeddings: BertEmbeddings;
  readonly encoder: DebertaStack;

  /**
   * Takes over parameters.
   *
   * @throws {ParameterMismatchError} listing all that are missing, too many or of another shape.
   */
  constructor(parameters: EncoderParameters, { config, pooling }: DebertaV2Options) {
    super({
      config,
      pooling,
      headActivation: config.poolerHiddenAct,
      maxTokens: config.maxPositionEmbeddings,
    });
    checkEncoderParameters(parameters, debertaV2Family, { config });
    const parts = new Parts(parameters, config);
    this.embeddings = new BertEmbeddings(parts);
    this.encoder = new DebertaStack(parts.parameter("encoder.rel_embeddings.weight").gpu, parts, config);
  }

  protected override get layers(): DebertaStack {
    return this.encoder;
  }

  override get numTypes(): number | undefined {
    // With one token type, the parts of a pair have the same type.
    return this.config.typeVocabSize > 1 ? this.config.typeVocabSize : undefined;
  }

  protected override embed(texts: Texts, tokens: TokenTensors): Tensor {
    const { inputIds, positions } = texts;
    const tokenTypeIds = this.numTypes === undefined ? undefined : texts.tokenTypeIds;
    const isToken = packTokens(tokens.attentionMask, tokens);
    return mul(
      this.embeddings.forward(inputIds, { tokenTypeIds, positions }),
      reshape(isToken, [...isToken.shape, 1]),
    );
  }
}

/** DeBERTa-v2, DeBERTaV3 and mDeBERTaV3. */
export const debertaV2Family: EncoderFamily<DebertaV2Config> = {
  modelType: "deberta-v2",
  title: "DeBERTa-v2",
  architecture: "DebertaV2Model",
  prefix: "deberta.",
  architectures: {
    sequenceClassification: {
      architecture: "DebertaV2ForSequenceClassification",
      output: "classifier",
      dense: "pooler.dense",
    },
    tokenClassification: { architecture: "DebertaV2ForTokenClassification", output: "classifier" },
    questionAnswering: { architecture: "DebertaV2ForQuestionAnswering", output: "qa_outputs" },
  },
  parseConfig: parseDebertaV2Config,
  parameterShapes(config): Map<string, Shape> {
    const { hiddenSize: width, intermediateSize, convolution } = config;
    const list = new ShapeList();
    list.table("embeddings.word_embeddings", config.vocabSize, width);
    if (config.positionBiasedInput) {
      list.table("embeddings.position_embeddings", config.maxPositionEmbeddings, width);
    }
    if (config.typeVocabSize > 0) list.table("embeddings.token_type_embeddings", config.typeVocabSize, width);
    list.norm("embeddings.LayerNorm", width);
    for (let i = 0; i < config.numHiddenLayers; i++) {
      const layer = `encoder.layer.${i}`;
      for (const each of projections(config)) list.linear(`${layer}.attention.self.${each}`, width, width);
      list.linear(`${layer}.attention.output.dense`, width, width)
        .norm(`${layer}.attention.output.LayerNorm`, width)
        .linear(`${layer}.intermediate.dense`, intermediateSize, width)
        .linear(`${layer}.output.dense`, width, intermediateSize)
        .norm(`${layer}.output.LayerNorm`, width);
    }
    list.table("encoder.rel_embeddings", 2 * distanceSpan(config), width);
    if (config.normRelEbd) list.norm("encoder.LayerNorm", width);
    if (convolution) {
      list.shapes.set("encoder.conv.conv.weight", [width, width, convolution.kernelSize])
        .set("encoder.conv.conv.bias", [width]);
      list.norm("encoder.conv.LayerNorm", width);
    }
    return list.shapes;
  },
  create: (parameters, config, options) => new DebertaV2(parameters, { config, ...options }),
};

/** Linear layers of a self-attention. */
function projections({ shareAttKey, posAttType }: DebertaV2Config): string[] {
  return [
    "query_proj",
    "key_proj",
    "value_proj",
    ...!shareAttKey && posAttType.includes("c2p") ? ["pos_key_proj"] : [],
    ...!shareAttKey && posAttType.includes("p2c") ? ["pos_query_proj"] : [],
  ];
}
