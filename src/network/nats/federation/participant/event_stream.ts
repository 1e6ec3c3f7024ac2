import type { ParticipantEvent } from "./participant_event.ts";

/** Hands on what happens during a wait. */
export class EventStream {
  readonly #onLeave: () => void;
  #events: ParticipantEvent[] = [];
  #wake: () => void = () => {};

  /** @param onLeave called when nobody wants to know any more; it ends the work. */
  constructor(onLeave: () => void) {
    this.#onLeave = onLeave;
  }

  /** Hands on an event. */
  push(event: ParticipantEvent): void {
    this.#events.push(event);
    this.#wake();
  }

  /** Yields events as they come until the work is done, and gives its result. */
  async *during<T>(work: Promise<T>): AsyncGenerator<ParticipantEvent, T> {
    let isDone = false;
    work.catch(() => {}).then(() => {
      isDone = true;
      this.#wake();
    });
    let isGiven = false;
    try {
      while (!isDone || this.#events.length > 0) {
        yield* this.#events.splice(0);
        if (isDone) continue;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          if (isDone || this.#events.length > 0) resolve();
        });
      }
      isGiven = true;
    } finally {
      if (!isGiven) {
        this.#onLeave();
        await work.catch(() => {});
      }
    }
    return await work;
  }
}
