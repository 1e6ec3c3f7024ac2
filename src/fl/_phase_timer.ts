/** Adds wall-clock time to the phase that has just ended. */
export class PhaseTimer {
  readonly seconds = { broadcast: 0, training: 0, aggregation: 0, evaluation: 0 };
  #last = performance.now();

  /** Ends a phase. */
  lap(phase: keyof PhaseTimer["seconds"]): void {
    const now = performance.now();
    this.seconds[phase] += (now - this.#last) / 1000;
    this.#last = now;
  }
}
