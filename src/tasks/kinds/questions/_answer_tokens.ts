import type { Answer } from "../../../data/examples/examples.ts";
import type { PairWindow } from "../../../models/mod.ts";

/** First and last token of an answer in a row. */
export type AnswerTokens = readonly [first: number, last: number];

/** Both ends at the first token: the row doesn't hold the answer. */
export const nowhere: AnswerTokens = [0, 0];

/**
 * The tokens of an answer in each window on its context: those that share a character with it, or {@linkcode nowhere}
 * where the window cuts some of them off or sees none.
 */
export function answerTokens(windows: readonly PairWindow[], answer: Answer): AnswerTokens[] {
  const start = answer.start + answer.text.search(/\S|$/);
  const end = answer.start + answer.text.trimEnd().length;
  return windows.map(({ spans }, i) => {
    const touches = spans.map((span) => span !== undefined && span[1] > start && span[0] < end);
    const [first, last] = [touches.indexOf(true), touches.lastIndexOf(true)];
    if (first < 0) return nowhere;
    // At its edge a window may have cut the answer, except where it begins or ends with the context.
    const cutBefore = i > 0 && spans[first - 1] === undefined && spans[first]![0] > start;
    const cutAfter = i < windows.length - 1 && spans[last + 1] === undefined && spans[last]![1] < end;
    return cutBefore || cutAfter ? nowhere : [first, last];
  });
}
