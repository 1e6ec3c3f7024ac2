import { NatsError } from "../errors.ts";

/** Options of {@linkcode persist}. */
export interface PersistOptions {
  /** How long to try again. */
  readonly seconds: number;
  /** Whether there is no use in trying again. */
  readonly isOver?: (() => boolean) | undefined;
}

/**
 * Does what may fail while the server is away for a moment, again and again.
 *
 * @throws the last error, when it is still so in the end.
 */
export async function persist<T>(body: () => Promise<T>, { seconds, isOver }: PersistOptions): Promise<T> {
  const limit = performance.now() + seconds * 1000;
  while (true) {
    try {
      return await body();
    } catch (error) {
      if (!(error instanceof NatsError) || isOver?.() || performance.now() > limit) throw error;
      await pause(0.5);
    }
  }
}

/** Waits. */
export async function pause(seconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
