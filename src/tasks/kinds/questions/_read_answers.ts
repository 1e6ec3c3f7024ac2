import type { OutputReader } from "../../output_reader.ts";
import { BestSpans, type ScoredSpan } from "./_best_spans.ts";
import { softmaxOf } from "../outputs.ts";
import type { AnswerPrediction, QuestionSet } from "./question_answering.ts";
import { rowReader } from "../row_reader.ts";

/** What the windows on a context say. */
export interface FoundAnswers {
  /** The best, best first. */
  readonly spans: readonly ScoredSpan[];
  /** The least score of no answer; Infinity where nothing of the context was read. */
  readonly none: number;
}

/** Options of {@linkcode answerReader}. */
export interface AnswerReaderOptions<Result> {
  /** Tokens of the longest answer. */
  readonly maxAnswerLength: number;
  /** How many answers are kept of each window and each question. */
  readonly nBest: number;
  /** The result, given what was found for each question, in their order. */
  finish(found: readonly FoundAnswers[]): Result;
}

/** Reads the best answers to each question off outputs [t, 2] of its windows. */
export function answerReader<Result>(
  set: QuestionSet,
  { maxAnswerLength, nBest, finish }: AnswerReaderOptions<Result>,
): OutputReader<Result> {
  return rowReader(set, {
    width: 2,
    perToken: true,
    read(scores, row): FoundAnswers {
      const best = new BestSpans(nBest);
      offerSpans(best, { scores, spans: set.spans[row]!, maxAnswerLength });
      return { spans: best.spans, none: scores[0]! + scores[1]! };
    },
    finish: (windows) =>
      finish(set.examples.map((_, i) => join(windows.slice(set.firstRows[i], set.firstRows[i + 1]), nBest))),
  });
}

/** The best of what several windows have, given in their order: what one offer of all their spans would give. */
function join(windows: readonly FoundAnswers[], nBest: number): FoundAnswers {
  const best = new BestSpans(nBest);
  for (const { spans } of windows) for (const span of spans) best.offer(span);
  return { spans: best.spans, none: Math.min(...windows.map(({ none }) => none)) };
}

/** What a question is answered with, and by how much the score of no answer exceeds that of the best. */
export function chooseAnswer(
  { spans: [best], none }: FoundAnswers,
  { context, noAnswerThreshold }: {
    readonly context: string;
    readonly noAnswerThreshold: number | undefined;
  },
): Pick<AnswerPrediction, "text" | "noAnswerMargin"> {
  if (best === undefined) return { text: "", noAnswerMargin: null };
  const noAnswerMargin = none - best.score;
  const isAnswered = noAnswerThreshold === undefined || noAnswerMargin <= noAnswerThreshold;
  return { text: isAnswered ? textOf(context, best) : "", noAnswerMargin };
}

/** The prediction for a question, with its candidates. */
export function describeAnswers(
  found: FoundAnswers,
  { id, context, noAnswerThreshold }: {
    readonly id: string;
    readonly context: string;
    readonly noAnswerThreshold: number | undefined;
  },
): AnswerPrediction {
  const { spans, none } = found;
  const candidates = [...spans];
  // No answer has a score if any of the context was read.
  if (noAnswerThreshold !== undefined && none < Infinity) {
    const at = candidates.findIndex(({ score }) => score < none);
    candidates.splice(at < 0 ? candidates.length : at, 0, { start: 0, end: 0, score: none });
  }
  const shares = softmaxOf(candidates.map(({ score }) => score));
  return {
    id,
    ...chooseAnswer(found, { context, noAnswerThreshold }),
    candidates: candidates.map((span, k) => ({
      text: textOf(context, span),
      ...span,
      probability: shares[k]!,
    })),
  };
}

/** Offers every span of a window that isn't longer than an answer may be. */
function offerSpans(
  best: BestSpans,
  { scores, spans, maxAnswerLength }: {
    readonly scores: Float32Array;
    readonly spans: QuestionSet["spans"][number];
    readonly maxAnswerLength: number;
  },
): void {
  for (let first = 0; first < spans.length; first++) {
    const from = spans[first];
    for (let last = first; from !== undefined && last < first + maxAnswerLength; last++) {
      const to = spans[last];
      if (to === undefined) break;
      const score = scores[2 * first]! + scores[2 * last + 1]!;
      if (best.takes(score) && from[0] < to[1]) best.offer({ start: from[0], end: to[1], score });
    }
  }
}

function textOf(context: string, { start, end }: ScoredSpan): string {
  return context.slice(start, end);
}
