import type { Dtype, StoredTensor } from "./dtype.ts";

/** What a weight file says of a tensor before its data is read. */
export interface WeightEntry {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/**
 * Tensors of one or several weight files, read one at a time: a model of any size takes no more host memory than its
 * largest tensor.
 */
export interface WeightSource {
  /** The tensors by their names in the file. */
  readonly entries: ReadonlyMap<string, WeightEntry>;
  /**
   * Reads one tensor.
   *
   * @throws {CorruptFileError} if the file has changed or ends early.
   * @throws {RangeError} if there is no tensor of that name.
   */
  read(name: string): Promise<StoredTensor>;
  /** Closes the files. */
  close(): Promise<void>;
}
