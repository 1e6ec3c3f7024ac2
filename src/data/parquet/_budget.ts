import { DataLimitError } from "../errors.ts";

/** What reading a file may still take. */
export class Budget {
  #unpacked: number;
  #memory: number;
  readonly #onSpend: (bytes: number) => void;

  /** @param onSpend called with all bytes that are spent: more work may take more time. */
  constructor(maxBytes: number, onSpend: (bytes: number) => void) {
    this.#unpacked = maxBytes;
    this.#memory = 2 * maxBytes + LEAST_MEMORY;
    this.#onSpend = onSpend;
  }

  /**
   * Takes the bytes of a page that is about to be decompressed.
   *
   * @throws {DataLimitError} if the pages of the file take more than `maxBytes`.
   */
  unpack(bytes: number): void {
    if ((this.#unpacked -= bytes) < 0) {
      throw new DataLimitError("it is larger than maxBytes when it is unpacked");
    }
    this.#onSpend(bytes);
  }

  /**
   * Takes the memory of values, about.
   *
   * @throws {DataLimitError} if the values of the file take more than twice `maxBytes` and 64 MiB.
   */
  hold(bytes: number): void {
    if ((this.#memory -= bytes) < 0) throw new DataLimitError(TOO_MUCH_MEMORY);
    this.#onSpend(bytes);
  }
}

/** Why a file is refused whose values take too much memory. */
export const TOO_MUCH_MEMORY = "its values would take more memory than maxBytes allows";

/** Memory that the values of a file may take in any case. */
const LEAST_MEMORY = 64 << 20;
