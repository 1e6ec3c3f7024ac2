/** Hands events that callbacks push during a wait to a generator. */
export class EventQueue<E> {
  #events: E[] = [];
  #wake: () => void = () => {};
  #abandoned = false;

  /**
   * Adds an event.
   *
   * @throws {Error} when the generator was left: work that nobody waits for ends at its next report.
   */
  push(event: E): void {
    if (this.#abandoned) throw new Error("Cannot report progress: the run was left");
    this.#events.push(event);
    this.#wake();
  }

  /**
   * Yields events as they come until `work` is done, and gives its result. Leaving early ends the work first.
   *
   * @param discard frees a result that comes too late.
   */
  async *until<T>(work: Promise<T>, discard: (result: T) => void = () => {}): AsyncGenerator<E, T> {
    let done = false;
    let isGiven = false;
    const settled = work.then(() => {}, () => {}).then(() => {
      done = true;
      this.#wake();
    });
    try {
      for (;;) {
        yield* this.#events.splice(0);
        if (done) {
          isGiven = true;
          break;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          if (done || this.#events.length > 0) resolve();
        });
      }
    } finally {
      this.#abandoned = !isGiven;
      await settled;
      if (!isGiven) await work.then(discard, () => {});
    }
    return await work;
  }
}
