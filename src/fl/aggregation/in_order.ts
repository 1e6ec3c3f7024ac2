import { disposeAll } from "../../engine/mod.ts";
import { cutOutcome, type Finished, tensorsOfOutcome } from "../participants.ts";

/** Members of one outcome that follow each other in the cohort. */
interface Piece {
  readonly outcome: Finished;
  readonly from: number;
  readonly to: number;
}

/**
 * Puts outcomes that arrive in any order into the order of client numbers: what is next in line is handed on, the rest waits.
 */
export class InOrder {
  /** Clients that are still to be handed on, in order. */
  readonly #line: number[];
  readonly #cohort: ReadonlySet<number>;
  readonly #waiting = new Map<number, { readonly outcome: Finished; readonly member: number }>();
  readonly #unused = new Map<Finished, number>();

  /** @param cohort client numbers, ascending. */
  constructor(cohort: readonly number[]) {
    this.#line = [...cohort];
    this.#cohort = new Set(cohort);
  }

  /**
   * Takes over an outcome, which is freed if it's refused.
   *
   * @throws {RangeError} for a client that isn't in the cohort, or that has sent something or was lost before.
   */
  add(outcome: Finished): void {
    try {
      const seen = new Set<number>();
      for (const { id } of outcome.clients) {
        this.#check(id);
        if (seen.has(id)) throw new RangeError(`Cannot take an upload of client ${id}: it comes twice`);
        seen.add(id);
      }
    } catch (error) {
      disposeAll(tensorsOfOutcome(outcome));
      throw error;
    }
    outcome.clients.forEach(({ id }, member) => this.#waiting.set(id, { outcome, member }));
    this.#unused.set(outcome, outcome.clients.length);
  }

  /**
   * Takes over outcomes; all are freed if one is refused.
   *
   * @throws as {@linkcode InOrder.add}.
   */
  addAll(outcomes: readonly Finished[]): void {
    const left = [...outcomes];
    try {
      for (let next = left.shift(); next !== undefined; next = left.shift()) this.add(next);
    } finally {
      for (const each of left) disposeAll(tensorsOfOutcome(each));
    }
  }

  /**
   * Goes on without a client.
   *
   * @throws {RangeError} as {@linkcode InOrder.add}.
   */
  lose(id: number): void {
    this.#check(id);
    this.#line.splice(this.#line.indexOf(id), 1);
  }

  /** Hands on whatever is next in line, piece by piece, and frees what has been handed on. */
  *ready(): Generator<Finished> {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const { outcome, from, to } = next;
      const isWhole = to - from === outcome.clients.length;
      const piece = isWhole ? outcome : cutOutcome(outcome, from, to);
      try {
        yield piece;
      } finally {
        if (!isWhole) disposeAll(tensorsOfOutcome(piece));
        this.#use(outcome, to - from);
      }
    }
  }

  /** Goes on without the clients that never came, and gives their numbers. */
  loseMissing(): number[] {
    const missing = this.#line.filter((id) => !this.#waiting.has(id));
    for (const id of missing) this.lose(id);
    return missing;
  }

  /** Frees what waits. */
  dispose(): void {
    for (const outcome of this.#unused.keys()) disposeAll(tensorsOfOutcome(outcome));
    this.#unused.clear();
  }

  #check(id: number): void {
    if (!this.#waiting.has(id) && this.#line.includes(id)) return;
    throw new RangeError(
      `Cannot take an upload of client ${id}, or lose it: ` +
        (this.#cohort.has(id) ? "it has sent something or was lost before" : "it isn't in this round"),
    );
  }

  #next(): Piece | undefined {
    const first = this.#waiting.get(this.#line[0] ?? -1);
    if (first === undefined) return undefined;
    const { outcome, member: from } = first;
    let to = from;
    while (true) {
      const next = this.#waiting.get(this.#line[0] ?? -1);
      if (next?.outcome !== outcome || next.member !== to) break;
      this.#waiting.delete(this.#line.shift()!);
      to++;
    }
    return { outcome, from, to };
  }

  #use(outcome: Finished, count: number): void {
    const left = this.#unused.get(outcome)! - count;
    if (left > 0) this.#unused.set(outcome, left);
    else {
      this.#unused.delete(outcome);
      disposeAll(tensorsOfOutcome(outcome));
    }
  }
}
