import { add, Embedding, type LayerNorm, Module, slice, type Tensor } from "../../engine/mod.ts";
import { TokenPoint } from "../points/mod.ts";
import { firstRows, floatTable, type Parts } from "./parts.ts";

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
  readonly point: TokenPoint;

  constructor(parts: Parts) {
    super();
    this.word_embeddings = parts.table("embeddings.word_embeddings");
    const optional = (name: string) => parts.has(`${name}.weight`) ? parts.table(name) : undefined;
    this.position_embeddings = optional("embeddings.position_embeddings");
    this.token_type_embeddings = optional("embeddings.token_type_embeddings");
    this.LayerNorm = parts.norm("embeddings.LayerNorm");
    this.point = new TokenPoint({ width: this.word_embeddings.weight.shape.at(-1)! });
  }

  /** [..., T, D] of ids [..., T]. */
  forward(inputIds: Tensor, { tokenTypeIds, positions }: BertEmbeddingsInput = {}): Tensor {
    const { position_embeddings, token_type_embeddings: kinds, point: { count } } = this;
    const places = position_embeddings && behind(position_embeddings, count);
    const { ndim } = inputIds;
    let sum = this.word_embeddings.forward(inputIds);
    if (kinds) sum = add(sum, tokenTypeIds ? kinds.forward(tokenTypeIds) : firstRows(kinds, 1, ndim));
    if (places) {
      sum = add(sum, positions ? places.forward(positions) : firstRows(places, inputIds.shape.at(-1)!, ndim));
    }
    return this.LayerNorm.forward(sum);
  }

  /**
   * Of the virtual tokens, [P, D] or [C, P, D]: each is of the first kind, and stands at its own position.
   *
   * @param start the row of the table of positions that a text's first token has; the first by default.
   */
  virtual(start = 0): Tensor {
    const { position_embeddings: places, token_type_embeddings: kinds, point } = this;
    let sum = point.embeddings!;
    if (kinds) sum = add(sum, firstRows(kinds, 1, 2));
    if (places) sum = add(sum, firstRows(behind(places, start), point.count, 2));
    return this.LayerNorm.forward(sum);
  }
}

/** The rows of a table behind the first ones. */
function behind(table: Embedding, count: number): Embedding {
  if (count === 0) return table;
  const weight = floatTable(table);
  return new Embedding(slice(weight, { axis: -2, start: count, end: weight.shape.at(-2)! }));
}
