import { errorCode } from "../../data/files/error_code.ts";
import { HubError } from "../errors.ts";
import { redact } from "../redact.ts";
import { PassingFailure } from "./retry.ts";

/** One request. */
export interface ExchangeRequest {
  /** What it is for, the start of messages: `Cannot download config.json of hf:owner/name`. */
  readonly purpose: string;
  readonly method: "GET" | "HEAD";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds that the server may be silent, or send less than 1 KiB. */
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
  const { url, method, headers, signal, longestSilence } = request;
  const gate = new AbortController();
  const both = signal ? AbortSignal.any([signal, gate.signal]) : gate.signal;
  try {
    const init: RequestInit = { method, headers, redirect: "manual", signal: both };
    const silent = `was silent for ${longestSilence / 1000} s`;
    const response = await watch(request, gate, { longest: longestSilence, silent }, () => fetch(url, init));
    return await use(response, chunksOf(response, request, gate));
  } finally {
    gate.abort();
  }
}

/** How long one wait may be, and what the message then says about the server. */
interface Limit {
  readonly longest: number;
  readonly silent: string;
}

/** Runs one wait for the network and words its failures. */
async function watch<T>(
  request: ExchangeRequest,
  gate: AbortController,
  { longest, silent }: Limit,
  step: () => Promise<T>,
): Promise<T> {
  const { url: { host }, purpose, signal } = request;
  const timer = setTimeout(() => gate.abort(), longest);
  try {
    return await step();
  } catch (cause) {
    signal?.throwIfAborted();
    const what = gate.signal.aborted
      ? `${host} ${silent}`
      : `the connection to ${host} failed (${errorCode(cause) ?? redact(String(cause))})`;
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

/** Bytes that must arrive to restart a server's time limit; a server that sends a byte now and then would hold us for ever. */
const LEAST = 1024;

async function* chunksOf(
  response: Response,
  request: ExchangeRequest,
  gate: AbortController,
): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const { longestSilence } = request;
  const reader = response.body.getReader();
  let left = longestSilence;
  let arrived = 0;
  for (;;) {
    const silent = arrived === 0
      ? `was silent for ${longestSilence / 1000} s`
      : `sent no more than ${arrived} bytes in ${longestSilence / 1000} s`;
    const start = performance.now();
    const { done, value } = await watch(request, gate, { longest: left, silent }, () => reader.read());
    if (done) return;
    arrived += value.byteLength;
    // The time that the reader of the bytes spends between two waits isn't the server's.
    left = Math.max(1, left - (performance.now() - start));
    if (arrived >= LEAST) [left, arrived] = [longestSilence, 0];
    yield value;
  }
}
