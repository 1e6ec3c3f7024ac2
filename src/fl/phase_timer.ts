/** Wall-clock seconds of a round by phase. */
export interface PhaseSeconds {
  /** From the first download to the last upload. */
  training: number;
  aggregation: number;
  measuring: number;
  evaluation: number;
}

/** Adds wall-clock time to the phase that has just ended. */
export class PhaseTimer {
  readonly seconds: PhaseSeconds = { training: 0, aggregation: 0, measuring: 0, evaluation: 0 };
  #last = performance.now();

  /** Ends a phase. */
  lap(phase: keyof PhaseSeconds): void {
    const now = performance.now();
    this.seconds[phase] += (now - this.#last) / 1000;
    this.#last = now;
  }
}
