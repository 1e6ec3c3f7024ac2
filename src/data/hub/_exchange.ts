import { errorCode } from "../cache_folder.ts";
import { HubError } from "../errors.ts";
import { PassingFailure } from "./_retry.ts";

/** One request. */
export interface ExchangeRequest {
  /** What it is for, the start of messages: `Cannot download config.json of hf:owner/name`. */
  readonly purpose: string;
  readonly method: "GET" | "HEAD";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds that the server may be silent. */
  readonly longestSilence: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Sends one request, follows no redirect, and hands the answer and its body over. The body is read as fast as it is
 * taken; what `use` leaves of it is dropped.
 *
 * @throws {PassingFailure} when the server cannot be reached, cuts the connection or falls silent; what `use` throws.
 */
export async function exchange<T>(
  request: ExchangeRequest,
  use: (response: Response, body: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  const { url, method, headers, signal } = request;
  const gate = new AbortController();
  const both = signal ? AbortSignal.any([signal, gate.signal]) : gate.signal;
  try {
    const init: RequestInit = { method, headers, redirect: "manual", signal: both };
    const response = await watch(request, gate, () => fetch(url, init));
    return await use(response, chunksOf(response, (step) => watch(request, gate, step)));
  } finally {
    gate.abort();
  }
}

/** Runs one wait for the network, no longer than the server may be silent, and words its failures. */
async function watch<T>(request: ExchangeRequest, gate: AbortController, step: () => Promise<T>): Promise<T> {
  const { url: { host }, longestSilence, purpose, signal } = request;
  const timer = setTimeout(() => gate.abort(), longestSilence);
  try {
    return await step();
  } catch (cause) {
    signal?.throwIfAborted();
    const what = gate.signal.aborted
      ? `${host} was silent for ${longestSilence / 1000} s`
      : `the connection to ${host} failed (${errorCode(cause) ?? String(cause)})`;
    throw new PassingFailure(
      new HubError(
        `${purpose}: ${what}; check the network and try again, or set HF_HUB_OFFLINE=1 to use what the cache has`,
        "offline",
        { cause },
      ),
    );
  } finally {
    clearTimeout(timer);
  }
}

async function* chunksOf(
  response: Response,
  watched: <T>(step: () => Promise<T>) => Promise<T>,
): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await watched(() => reader.read());
    if (done) return;
    yield value;
  }
}
