import { add, type Embedding, type LayerNorm, Module, type Tensor } from "../../engine/mod.ts";
import { firstRows, type Parts } from "./parts.ts";

/** Options of {@linkcode BertEmbeddings.forward}. */
export interface BertEmbeddingsInput {
  /** Kinds of tokens, u32 [..., T]; 0 by default. */
  readonly tokenTypeIds?: Tensor | undefined;
  /** Rows of the table of positions, u32 [..., T]; its first T by default. */
  readonly positions?: Tensor | undefined;
}

/** The sum of embeddings of each token's id, kind and position, normalised. */
export class BertEmbeddings extends Module {
  readonly word_embeddings: Embedding;
  /** None where positions count in attention alone. */
  readonly position_embeddings: Embedding | undefined;
  /** None where all tokens are of one kind. */
  readonly token_type_embeddings: Embedding | undefined;
  readonly LayerNorm: LayerNorm;

  constructor(parts: Parts) {
    super();
    this.word_embeddings = parts.table("embeddings.word_embeddings");
    const optional = (name: string) => parts.has(`${name}.weight`) ? parts.table(name) : undefined;
    this.position_embeddings = optional("embeddings.position_embeddings");
    this.token_type_embeddings = optional("embeddings.token_type_embeddings");
    this.LayerNorm = parts.norm("embeddings.LayerNorm");
  }

  /** [..., T, D] of ids [..., T]. */
  forward(inputIds: Tensor, { tokenTypeIds, positions }: BertEmbeddingsInput = {}): Tensor {
    const { position_embeddings: places, token_type_embeddings: kinds } = this;
    const { ndim } = inputIds;
    let sum = this.word_embeddings.forward(inputIds);
    if (kinds) sum = add(sum, tokenTypeIds ? kinds.forward(tokenTypeIds) : firstRows(kinds, 1, ndim));
    if (places) {
      sum = add(sum, positions ? places.forward(positions) : firstRows(places, inputIds.shape.at(-1)!, ndim));
    }
    return this.LayerNorm.forward(sum);
  }
}
