import { setTimeout as delay } from "node:timers/promises";
import type { HubError } from "../errors.ts";

/** How long a client tries. All times are milliseconds. */
export interface Patience {
  /** Failures in a row, counted again after each advance, after which the last one counts. */
  readonly attempts: number;
  /** Wait before the second attempt; it doubles from there. */
  readonly firstWait: number;
  /** Longest wait before an attempt; a server that asks for more is taken to refuse. */
  readonly longestWait: number;
  /** Longest silence of a server, before and while it answers. */
  readonly longestSilence: number;
}

/** Five attempts: 7.5 s of waiting where the server doesn't say how long, 4 minutes at most where it does. */
export const PATIENCE: Patience = {
  attempts: 5,
  firstWait: 500,
  longestWait: 60_000,
  longestSilence: 30_000,
};

/** A failure that may pass, with the error that it becomes when it doesn't. */
export class PassingFailure extends Error {
  override name = "PassingFailure";
  readonly error: HubError;
  /** Milliseconds after which the server says to come back. */
  readonly wait: number | undefined;

  constructor(error: HubError, wait?: number) {
    super(error.message, { cause: error });
    this.error = error;
    this.wait = wait;
  }
}

/**
 * Repeats a step while it ends in {@linkcode PassingFailure}s. The step calls what it is given whenever it gets ahead
 * (bytes on the disk): failures count from there again.
 *
 * @throws {HubError} the last failure's error when patience is at its end; any other error of the step at once.
 */
export async function withRetries<T>(
  patience: Patience,
  step: (advanced: () => void) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  let failures = 0;
  for (;;) {
    try {
      return await step(() => failures = 0);
    } catch (failure) {
      if (!(failure instanceof PassingFailure)) throw failure;
      failures++;
      const wait = failure.wait ?? Math.min(patience.firstWait * 2 ** (failures - 1), patience.longestWait);
      if (failures >= patience.attempts || wait > patience.longestWait) throw failure.error;
      await sleep(wait, signal);
    }
  }
}

/** Waits; rejects with the reason of the signal when it is given. */
export async function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(milliseconds, undefined, signal && { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/**
 * Milliseconds to wait of a `Retry-After` header, which counts seconds or names a date (RFC 9110, section 10.2.3), or
 * of the hub's `ratelimit` header (`"api";r=0;t=55`: none left, reset in 55 s).
 *
 * @returns undefined where neither is there or says when.
 */
export function askedWait(headers: Headers, now: number): number | undefined {
  const text = headers.get("retry-after")?.trim() ?? "";
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  // Other texts than HTTP dates would be guessed at.
  const date = text.endsWith("GMT") ? Date.parse(text) : NaN;
  // A date that has just passed, or a clock that is ahead: at once.
  if (!Number.isNaN(date)) return Math.max(0, date - now);
  const limit = /;\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d+)/.exec(headers.get("ratelimit") ?? "");
  return limit === null ? undefined : Number(limit[1]) * 1000;
}
