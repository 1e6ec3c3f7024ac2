import {
  deferred,
  headers,
  type Msg,
  type NatsConnection,
  NoRespondersError,
  RequestError,
} from "@nats-io/nats-core";
import { FederationError } from "../errors.ts";
import { readWords, type Replies, replies, type Requests, WORDS_HEADER } from "../messages.ts";
import { nameSchema, participantSubjects, type RequestKind } from "../subjects.ts";

/** How long an answer may take, in milliseconds, beside what a host keeps a question for work; with a chunk on a slow line, longer. */
const [answerMilliseconds, chunkMilliseconds] = [3000, 60_000];
/** How long to wait before asking again, in milliseconds: from the first to the last. */
const [firstPause, longestPause] = [250, 4000];

/** Options of {@linkcode HostLink}. */
export interface HostLinkOptions {
  readonly federation: string;
  /** The participant's name, one word of a subject. */
  readonly name: string;
  readonly signal?: AbortSignal | undefined;
  /** How long the host keeps a question for work, in milliseconds. */
  readonly holdMilliseconds?: number;
  /** How long to wait for a host that doesn't answer, in seconds; 600 by default. */
  readonly patienceSeconds?: number | undefined;
  /** Called when the host can't be reached, and when it can again. */
  readonly onReach?: ((isReached: boolean) => void) | undefined;
}

/** An answer, and the chunk that came with it. */
export interface Answered<Kind extends RequestKind> {
  readonly words: Replies[Kind];
  readonly chunk: Uint8Array;
}

/**
 * A participant's way to its host. Every question may be asked again without harm, so a host or a server that is away is waited for, and
 * a question whose answer was lost is repeated.
 */
export class HostLink {
  readonly #connection: NatsConnection;
  readonly #options: HostLinkOptions;
  /** Resolved when the connection was broken and is there again: what was asked before may be lost. */
  #renewed = deferred<void>();

  /** @throws {RangeError} when a name isn't one word. */
  constructor(connection: NatsConnection, options: HostLinkOptions) {
    for (const [what, given] of Object.entries({ federation: options.federation, name: options.name })) {
      const result = nameSchema.safeParse(given);
      if (!result.success) {
        throw new RangeError(
          `Cannot join a federation with ${what} ${JSON.stringify(given)}: ${
            result.error.issues[0]!.message
          }`,
        );
      }
    }
    this.#connection = connection;
    this.#options = options;
    void this.#watch();
  }

  /**
   * Asks until there is an answer.
   *
   * @param chunk what goes with the question.
   * @throws {FederationError} when there is none for too long, it isn't one, or the connection is closed.
   * @throws the reason of the signal, once it's aborted.
   */
  async ask<Kind extends RequestKind>(
    kind: Kind,
    request: Requests[Kind],
    chunk?: Uint8Array,
  ): Promise<Answered<Kind>> {
    const { patienceSeconds = 600, federation, onReach, signal } = this.#options;
    const start = performance.now();
    let isAway = false;
    for (let pause = firstPause;; pause = Math.min(2 * pause, longestPause)) {
      signal?.throwIfAborted();
      if (this.#connection.isClosed()) {
        throw new FederationError(
          `Cannot reach the host of federation ${federation}: the connection to the NATS server is closed; connect and join again`,
        );
      }
      const message = await this.#once(kind, request, chunk);
      if (message !== undefined) {
        if (isAway) onReach?.(true);
        return this.#read(kind, message);
      }
      const seconds = (performance.now() - start) / 1000;
      if (seconds > patienceSeconds) {
        throw new FederationError(
          `Cannot reach the host of federation ${federation}: waited ${
            seconds.toFixed(0)
          } s for an answer; check that it runs (federa host), ` +
            "on this NATS server and under this name, and that the server permits this participant's subjects",
        );
      }
      if (!isAway) onReach?.(false);
      isAway = true;
      await this.#sleep(pause);
    }
  }

  /** Asks once, for what nobody waits for long; undefined where there is no answer in time. */
  async tell<Kind extends RequestKind>(
    kind: Kind,
    request: Requests[Kind],
    milliseconds: number,
  ): Promise<Answered<Kind> | undefined> {
    if (this.#connection.isClosed()) return undefined;
    const message = await this.#request(kind, request, undefined, milliseconds).catch(() => undefined);
    return message && this.#read(kind, message);
  }

  /** The answer to one question; undefined where there is none. */
  async #once<Kind extends RequestKind>(
    kind: Kind,
    request: Requests[Kind],
    chunk: Uint8Array | undefined,
  ): Promise<Msg | undefined> {
    const { signal } = this.#options;
    const aborted = deferred<undefined>();
    const abort = () => aborted.resolve(undefined);
    signal?.addEventListener("abort", abort);
    try {
      const held = kind === "next" ? this.#options.holdMilliseconds ?? 0 : 0;
      const hasChunk = kind === "fetch" || kind === "send";
      const timeout = hasChunk ? chunkMilliseconds : answerMilliseconds + held;
      const answer = this.#request(kind, request, chunk, timeout);
      // A question that lost the race may fail later.
      answer.catch(() => {});
      return await Promise.race([answer, aborted, this.#renewed.then(() => undefined)]);
    } catch (error) {
      if (isWithoutAnswer(error)) return undefined;
      const { federation, name } = this.#options;
      throw new FederationError(
        `Cannot ask the host of federation ${federation} as ${name}: ${
          error instanceof Error ? error.message : error
        }`,
        { cause: error },
      );
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  #request<Kind extends RequestKind>(
    kind: Kind,
    request: Requests[Kind],
    chunk: Uint8Array | undefined,
    timeout: number,
  ): Promise<Msg> {
    const { federation, name } = this.#options;
    const subjects = participantSubjects(federation, name);
    const reply = `${subjects.replies}.${crypto.randomUUID()}`;
    const text = JSON.stringify(request);
    const head = headers();
    if (chunk !== undefined) head.set(WORDS_HEADER, text);
    return this.#connection.request(subjects.request(kind), chunk ?? text, {
      timeout,
      noMux: true,
      reply,
      ...(chunk !== undefined && { headers: head }),
    });
  }

  #read<Kind extends RequestKind>(kind: Kind, { data, headers }: Msg): Answered<Kind> {
    const words = headers?.get(WORDS_HEADER);
    const host = `the host of federation ${this.#options.federation}`;
    return {
      words: readWords(replies[kind], words || data, host) as Replies[Kind],
      chunk: words ? data : new Uint8Array(),
    };
  }

  async #sleep(milliseconds: number): Promise<void> {
    const { signal } = this.#options;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal?.addEventListener("abort", done);
    });
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type !== "reconnect") continue;
      const { resolve } = this.#renewed;
      this.#renewed = deferred<void>();
      resolve();
    }
  }
}

/** Whether nobody answered: no host, or an answer that was lost. */
function isWithoutAnswer(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof RequestError && error.cause instanceof Error) return isWithoutAnswer(error.cause);
  return error instanceof NoRespondersError ||
    ["TimeoutError", "DrainingConnectionError", "ClosedConnectionError"].includes(error.name);
}
