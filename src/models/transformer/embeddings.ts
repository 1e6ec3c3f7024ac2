import { add, type Embedding, type LayerNorm, Module, type Tensor } from "../../engine/mod.ts";
import { firstRows, type Parts } from "./parts.ts";

/** Options of {@linkcode BertEmbeddings.forward}. */
export interface BertEmbeddingsInput {
  /** Kinds of tokens, u32 [..., T]; 0 by default. */
  readonly types?: Tensor | undefined;
  /** Rows of the table of positions, u32 [..., T]; its first T by default. */
  readonly positions?: Tensor | undefined;
}

/** The sum of embeddings of each token's id, kind and position, normalised. */
export class BertEmbeddings extends Module {
  readonly word_embeddings: Embedding;
  readonly position_embeddings: Embedding;
  /** None where all tokens are of one kind. */
  readonly token_type_embeddings: Embedding | undefined;
  readonly LayerNorm: LayerNorm;

  constructor(parts: Parts) {
    super();
    this.word_embeddings = parts.table("embeddings.word_embeddings");
    this.position_embeddings = parts.table("embeddings.position_embeddings");
    this.token_type_embeddings = parts.has("embeddings.token_type_embeddings.weight")
      ? parts.table("embeddings.token_type_embeddings")
      : undefined;
    this.LayerNorm = parts.norm("embeddings.LayerNorm");
  }

  /** [..., T, D] of ids [..., T]. */
  forward(ids: Tensor, { types, positions }: BertEmbeddingsInput = {}): Tensor {
    const words = this.word_embeddings.forward(ids);
    const places = positions
      ? this.position_embeddings.forward(positions)
      : firstRows(this.position_embeddings, ids.shape.at(-1)!);
    const kinds = this.token_type_embeddings;
    if (kinds === undefined) return this.LayerNorm.forward(add(words, places));
    const ofKind = types ? kinds.forward(types) : firstRows(kinds, 1);
    return this.LayerNorm.forward(add(add(words, ofKind), places));
  }
}
