import type { Answer } from "../../../data/examples/examples.ts";
import { answerScores } from "../../metrics/answers.ts";
import type { Scores } from "../../task.ts";

/**
 * Mean scores of the texts that questions are answered with.
 *
 * @param texts one a question; empty for no answer.
 * @param options `split` for scores of the questions that have an answer, and of those that have none, apart.
 * @throws {RangeError} without questions.
 */
export function averageAnswers(
  questions: readonly { readonly answers: readonly Answer[] }[],
  texts: readonly string[],
  { split }: { readonly split: boolean },
): Scores {
  if (questions.length === 0) {
    throw new RangeError("Cannot score answers: there must be at least one question, got 0");
  }
  const all = questions.map(({ answers }, i) => ({
    ...answerScores(texts[i]!, answers.map(({ text }) => text)),
    answerable: answers.length > 0,
  }));
  const mean = (of: typeof all, key: "f1" | "exactMatch") =>
    of.reduce((sum, score) => sum + score[key], 0) / of.length;
  const [some, none] = [true, false].map((has) => all.filter(({ answerable }) => answerable === has));
  return {
    f1: mean(all, "f1"),
    exactMatch: mean(all, "exactMatch"),
    ...(split && some!.length > 0 && {
      hasAnswerF1: mean(some!, "f1"),
      hasAnswerExactMatch: mean(some!, "exactMatch"),
    }),
    ...(split && none!.length > 0 && { noAnswerAccuracy: mean(none!, "exactMatch") }),
  };
}
