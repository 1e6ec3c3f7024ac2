import type { Tokenizer } from "../../models/mod.ts";

/** Whether a tokenizer gives the second text of a pair another token type than the first. */
export function distinguishesPairs(tokenizer: Tokenizer): boolean {
  return tokenizer.encodeBatch(["a"], { pairs: ["b"] }).tokenTypeIds?.some((type) => type !== 0) ?? false;
}

/**
 * A tokenizer that gives question and context the token type 0, as PEFT's class for `task_type` QUESTION_ANS does: it leaves
 * `token_type_ids` out, in training as in answering.
 */
export function withoutQuestionTypes(tokenizer: Tokenizer): Tokenizer {
  return {
    padId: tokenizer.padId,
    maxLength: tokenizer.maxLength,
    encode: (...call) => tokenizer.encode(...call),
    encodeBatch: (...call) => tokenizer.encodeBatch(...call),
    encodeText: (...call) => tokenizer.encodeText(...call),
    encodeWords: (...call) => tokenizer.encodeWords(...call),
    encodePair: (...call) =>
      tokenizer.encodePair(...call).map((window) => ({
        ...window,
        tokenTypeIds: window.tokenTypeIds.map(() => 0),
      })),
  };
}
