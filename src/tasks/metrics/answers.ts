/** How well a question is answered. */
export interface AnswerScores {
  /** 1 if the answer equals a right one but for case, punctuation, articles and spaces, else 0. */
  readonly exactMatch: number;
  /** F1 of the words that the answer shares with the right one it is nearest to. */
  readonly f1: number;
}

/**
 * Scores an answer against right ones as SQuAD's official script does (Rajpurkar et al. 2016, arXiv:1606.05250, section 6.1;
 * no answer as in version 2.0, Rajpurkar et al. 2018, arXiv:1806.03822): the best match counts. Right answers that are nothing
 * but articles and punctuation are left out; where none is left, the right answer is none, which an empty text gives.
 *
 * @param answer the answer given; empty for none
 * @param references right answers
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * // "black cat" and "cat": precision 1/2, recall 1.
 * assert.deepEqual(answerScores("The black cat", ["a cat!", "dog"]), { exactMatch: 0, f1: 2 / 3 });
 * ```
 */
export function answerScores(answer: string, references: readonly string[]): AnswerScores {
  const given = wordsOf(answer);
  const right = references.map(wordsOf).filter((words) => words.length > 0);
  if (right.length === 0) right.push([]);
  return {
    exactMatch: right.some((words) => words.join(" ") === given.join(" ")) ? 1 : 0,
    f1: Math.max(...right.map((words) => sharedF1(given, words))),
  };
}

/**
 * An answer as SQuAD's official script compares it: lower case, without ASCII punctuation and the articles a, an, the, words
 * with one space between.
 */
export function normalizeAnswer(answer: string): string {
  return wordsOf(answer).join(" ");
}

// Python's \b and split(): its words are letters, digits and "_" of any script, and its spaces aren't JavaScript's.
const PUNCTUATION = /[!-/:-@[-`{-~]/g;
const ARTICLE = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;
// deno-lint-ignore no-control-regex
const SPACES = /[\p{White_Space}\x1c-\x1f]+/u;

function wordsOf(answer: string): string[] {
  return answer.toLowerCase().replace(PUNCTUATION, "").replace(ARTICLE, " ").split(SPACES).filter(Boolean);
}

function sharedF1(given: readonly string[], right: readonly string[]): number {
  if (given.length === 0 && right.length === 0) return 1;
  const left = new Map<string, number>();
  for (const word of right) left.set(word, (left.get(word) ?? 0) + 1);
  let shared = 0;
  for (const word of given) {
    const count = left.get(word) ?? 0;
    if (count === 0) continue;
    left.set(word, count - 1);
    shared++;
  }
  return 2 * shared / (given.length + right.length);
}
