/** What is used of the package, whose own declarations import files without their extension, which Node's rules forbid. */
declare module "@huggingface/tokenizers" {
  /** Byte-pair encoding. */
  export class BPE {
    constructor(config: {
      type: "BPE";
      vocab: Readonly<Record<string, number>>;
      merges: readonly (readonly [string, string])[];
      end_of_word_suffix?: string;
    });
    /** The pieces of a word after all merges. */
    bpe(word: string): readonly string[];
  }

  /** Cuts texts at a pattern, which it translates from Oniguruma's syntax. */
  export class SplitPreTokenizer {
    constructor(config: { type: "Split"; pattern: { Regex: string }; behavior: "Isolated"; invert: boolean });
    readonly pattern: RegExp | null;
  }
}
