import { deferred } from "@nats-io/nats-core";

/** What ends a wait early: a signal, or an error that comes from elsewhere. */
export class Failure {
  readonly #failed = deferred<never>();

  /** @param signal ends waits with its reason. */
  constructor(signal: AbortSignal | undefined) {
    // Nobody may be waiting when it comes.
    this.#failed.catch(() => {});
    if (signal?.aborted) this.fail(signal.reason);
    signal?.addEventListener("abort", () => this.fail(signal.reason), { once: true });
  }

  /** Ends this wait and all later ones. */
  fail(error: unknown): void {
    this.#failed.reject(error instanceof Error ? error : new Error(String(error)));
  }

  /**
   * Waits for work.
   *
   * @throws what {@linkcode fail} was given.
   */
  async during<T>(work: Promise<T>): Promise<T> {
    work.catch(() => {});
    return await Promise.race([this.#failed, work]);
  }
}
