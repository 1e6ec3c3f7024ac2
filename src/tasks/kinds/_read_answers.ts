import { BestSpans, type ScoredSpan } from "./_best_spans.ts";
import { groupOutputs, softmaxOf } from "./_outputs.ts";
import type { AnswerPrediction, QuestionSet } from "./question_answering.ts";

/** What decides on answers. */
export interface ReadAnswersOptions {
  readonly maxAnswerLength: number;
  readonly nBest: number;
  readonly noAnswerThreshold: number | undefined;
}

/** The answers that outputs [N, T, 2] stand for. */
export function readAnswers(
  set: QuestionSet,
  outputs: Float32Array,
  options: ReadAnswersOptions,
): AnswerPrediction[] {
  const rows = groupOutputs(outputs, { count: set.size, size: 2 * set.length });
  return set.examples.map(({ id, context }, i) => {
    const best = new BestSpans(options.nBest);
    let none = Infinity;
    for (let row = set.firstRows[i]!; row < set.firstRows[i + 1]!; row++) {
      offerSpans(best, { scores: rows[row]!, spans: set.spans[row]!, ...options });
      none = Math.min(none, rows[row]![0]! + rows[row]![1]!);
    }
    const candidates = [...best.spans];
    const { noAnswerThreshold: threshold } = options;
    const noAnswerMargin = candidates.length > 0 ? none - candidates[0]!.score : null;
    const answered = noAnswerMargin !== null && (threshold === undefined || noAnswerMargin <= threshold);
    const text = answered ? textOf(context, candidates[0]!) : "";
    // No answer has a score if any of the context was read.
    if (threshold !== undefined && none < Infinity) {
      const at = candidates.findIndex(({ score }) => score < none);
      candidates.splice(at < 0 ? candidates.length : at, 0, { start: 0, end: 0, score: none });
    }
    const shares = softmaxOf(candidates.map(({ score }) => score));
    return {
      id,
      text,
      noAnswerMargin,
      candidates: candidates.map((span, k) => ({
        text: textOf(context, span),
        ...span,
        probability: shares[k]!,
      })),
    };
  });
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
