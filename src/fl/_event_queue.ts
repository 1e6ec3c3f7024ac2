/** Hands events that callbacks push during a wait to a generator. */
export class EventQueue<E> {
  #events: E[] = [];
  #wake: () => void = () => {};

  /** Adds an event. */
  push(event: E): void {
    this.#events.push(event);
    this.#wake();
  }

  /** Yields events as they come until `work` is done, and gives its result. */
  async *until<T>(work: Promise<T>): AsyncGenerator<E, T> {
    let done = false;
    const settled = work.then(() => {}, () => {}).then(() => {
      done = true;
      this.#wake();
    });
    for (;;) {
      yield* this.#events.splice(0);
      if (done) break;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (done || this.#events.length > 0) resolve();
      });
    }
    await settled;
    return await work;
  }
}
