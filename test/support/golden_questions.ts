import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { QuestionExample } from "../../src/data/mod.ts";

/** Folder of what `generate.py` in it wrote. */
export const questionsFolder = "test/golden/questions";

interface SquadScores {
  readonly exact: number;
  readonly f1: number;
  readonly HasAns_exact: number;
  readonly HasAns_f1: number;
  readonly NoAns_exact: number;
  readonly NoAns_f1: number;
}

interface QuestionsReference {
  readonly maxLength: number;
  readonly stride: number;
  readonly maxAnswerLength: number;
  readonly numWindows: number;
  /** First and last token of the answer in each window. */
  readonly targets: readonly number[];
  readonly loss: number;
  /** Best answers, whatever the score of none. */
  readonly predictions: Readonly<Record<string, string>>;
  readonly margins: Readonly<Record<string, number>>;
  /** In per cent, with the threshold 0. */
  readonly scores: SquadScores;
  /** In per cent, with the best threshold. */
  readonly tuned: SquadScores;
  readonly bestThreshold: number;
  /** In per cent. */
  readonly bestF1: number;
  /** What `find_best_thresh` makes of margins, scores with an answer and scores without. */
  readonly thresholds: readonly {
    readonly questions: readonly (readonly [number, number, number])[];
    readonly score: number;
    readonly threshold: number;
  }[];
}

/** What `transformers` and SQuAD's script make of the questions. */
export const questionsReference = JSON.parse(
  readFileSync(join(questionsFolder, "reference.json"), "utf8"),
) as QuestionsReference;

/** The questions; their places count code points, which are all in ASCII. */
export function goldenQuestions(): QuestionExample[] {
  return readFileSync(join(questionsFolder, "questions.jsonl"), "utf8").trim().split("\n").map((line) => {
    const { answers, ...question } = JSON.parse(line) as Omit<QuestionExample, "answers"> & {
      readonly answers: { readonly text: string[]; readonly answer_start: number[] };
    };
    return {
      ...question,
      answers: answers.text.map((text, i) => ({ text, start: answers.answer_start[i]! })),
    };
  });
}
