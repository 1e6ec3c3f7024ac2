/** A part of a text and how likely it is the answer. */
export interface ScoredSpan {
  readonly start: number;
  /** Behind its last character. */
  readonly end: number;
  /** Output of its first token for a start, and of its last for an end, added. */
  readonly score: number;
}

/** The best of many spans, best first; of equal spans the better, of equally good ones the earlier. */
export class BestSpans {
  readonly #capacity: number;
  readonly #spans: ScoredSpan[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Best first. */
  get spans(): readonly ScoredSpan[] {
    return this.#spans;
  }

  /** Whether a span of this score would be among the best. */
  takes(score: number): boolean {
    return this.#spans.length < this.#capacity || score > this.#spans.at(-1)!.score;
  }

  /** Takes a span if it's among the best. */
  offer(span: ScoredSpan): void {
    if (!this.takes(span.score)) return;
    const same = this.#spans.findIndex(({ start, end }) => start === span.start && end === span.end);
    if (same >= 0) {
      if (this.#spans[same]!.score >= span.score) return;
      this.#spans.splice(same, 1);
    }
    const at = this.#spans.findIndex(({ score }) => score < span.score);
    this.#spans.splice(at < 0 ? this.#spans.length : at, 0, span);
    this.#spans.length = Math.min(this.#spans.length, this.#capacity);
  }
}
