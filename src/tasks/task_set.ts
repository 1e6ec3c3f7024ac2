/** A class target that counts for nothing, as a word's second token in token classification. */
export const IGNORED = -100;

/**
 * Examples of a task as rows of tokens on the host, row-major and padded to one length, so that shapes never depend on
 * who trains beside whom. An example has one row, or several where its text is seen through windows.
 */
export interface TaskSet {
  /** Number of examples. */
  readonly numExamples: number;
  /** Number of rows N, at least that of examples. */
  readonly size: number;
  /** Tokens a row T. */
  readonly length: number;
  /** [N, T]. */
  readonly ids: Uint32Array;
  /** [N, T]: 1 for a token, 0 for padding. */
  readonly mask: Float32Array;
  /** [N, T]: which part of its text a token is in, for encoders that tell parts apart. */
  readonly types?: Uint32Array;
  /** [N, targetsPerRow]: class numbers, of which {@linkcode IGNORED} count for nothing, or the numbers to foretell. */
  readonly targets: Int32Array | Float32Array;
  /** 1 for a text's class, T for a class of every token, 2 for the ends of an answer. */
  readonly targetsPerRow: number;
  /** [numExamples + 1]: example i has the rows from `firstRows[i]` to before `firstRows[i + 1]`. */
  readonly firstRows: Uint32Array;
}
