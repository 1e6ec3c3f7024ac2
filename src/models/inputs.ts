import type { Tensor } from "../engine/mod.ts";

/** What a model reads, on the GPU by name; those of a text are {@linkcode TokenTensors}. Leading axes are rows. */
export type Inputs = Readonly<Record<string, Tensor>>;

/** A padded batch of texts on the GPU. */
export type TokenTensors = {
  /** Token ids, u32 [..., T]. */
  readonly inputIds: Tensor;
  /** 1 for a token, 0 for padding, f32 [..., T]. */
  readonly attentionMask: Tensor;
  /** Which part of its text a token is in, u32 [..., T], for encoders that distinguish parts; part 0 by default. */
  readonly tokenTypeIds?: Tensor;
  /**
   * Which token stands in each row where texts stand one after another without padding, u32 [..., R], counted over all texts; see
   * {@linkcode Texts}. Encoders that don't pack tokens pass over it.
   */
  readonly rowTokens?: Tensor;
  /** The row of each token, u32 [..., B, T], counted over all rows. */
  readonly tokenRows?: Tensor;
  /** Where the token of each row stands in its text, u32 [..., R]. */
  readonly rowPositions?: Tensor;
};

/** Numbers on the host, of a type that tensors have. */
export type ColumnData = Float32Array | Int32Array | Uint32Array;

/** One input of many rows, on the host. */
export interface Column<Data extends ColumnData = ColumnData> {
  /** Row-major [N, ...shape]. */
  readonly data: Data;
  /** Shape of a row. */
  readonly shape: readonly number[];
  /** Whether the first axis of `shape` is that of tokens, so that a batch may leave out what is padding in all its rows. */
  readonly perToken: boolean;
}

/** What a model reads, on the host by name; those of texts are {@linkcode TokenColumns}. */
export type Columns = Readonly<Record<string, Column>>;

/** Texts on the host, as {@linkcode TokenTensors} are on the GPU. */
export type TokenColumns = {
  readonly inputIds: Column<Uint32Array>;
  readonly attentionMask: Column<Float32Array>;
  readonly tokenTypeIds?: Column<Uint32Array>;
};
