import { headers, type Msg, type NatsConnection, type Subscription } from "@nats-io/nats-core";
import { FederationError } from "../errors.ts";
import {
  MAX_MESSAGE_BYTES,
  readWords,
  type Refusal,
  type Replies,
  type Requests,
  requests,
  WORDS_HEADER,
} from "../messages.ts";
import { hostSubjects, parseRequest, type RequestKind } from "../subjects.ts";

/** What a host answers, and the chunk that goes with it. */
export interface Answer<Kind extends RequestKind> {
  readonly words: Replies[Kind];
  readonly chunk?: Uint8Array;
}

/** How a host answers each kind of request. The name is what the subject says, which the server's permissions hold a user to. */
export type Handlers = {
  readonly [Kind in RequestKind]: (
    name: string,
    request: Requests[Kind],
    chunk: Uint8Array,
  ) => Promise<Answer<Kind>>;
};

/** Options of {@linkcode openDesk}. */
export interface DeskOptions {
  readonly federation: string;
  readonly handlers: Handlers;
  /** Called with an error that isn't a participant's. */
  readonly onError: (error: unknown) => void;
}

/** Where participants' requests arrive. */
export interface Desk {
  /** Takes no more requests. */
  close(): void;
}

/**
 * Answers the requests of participants. What arrives is not trusted: a message that isn't one is refused, and an answer goes to nobody but
 * the participant that the request's subject names.
 *
 * @throws {FederationError} when another host has the federation.
 */
export async function openDesk(
  connection: NatsConnection,
  { federation, handlers, onError }: DeskOptions,
): Promise<Desk> {
  const subjects = hostSubjects(federation);
  await checkAlone(connection, federation);
  const hosts = connection.subscribe(subjects.hosts, {
    callback: (_, message) => void message?.respond("here"),
  });
  const desk = connection.subscribe(subjects.requests, {
    callback(error, message) {
      if (error) return onError(error);
      answer(message, { federation, handlers }).catch(onError);
    },
  });
  for (const each of [hosts, desk]) reportClosed(each, onError);
  await connection.flush();
  return {
    close() {
      for (const each of [hosts, desk]) each.unsubscribe();
    },
  };
}

async function answer(
  message: Msg,
  { federation, handlers }: Pick<DeskOptions, "federation" | "handlers">,
): Promise<void> {
  const request = parseRequest(message.subject);
  if (request === undefined) return;
  const { name, kind } = request;
  // An answer elsewhere would let one participant write to another in the host's name.
  if (!message.reply?.startsWith(`${hostSubjects(federation).replies}${name}.`)) return;
  const words = message.headers?.get(WORDS_HEADER);
  const chunk = words ? message.data : new Uint8Array();
  let reply: Answer<RequestKind>;
  try {
    const asked = readWords(requests[kind], words || message.data, name);
    reply = await handlers[kind](name, asked as never, chunk);
  } catch (error) {
    if (!(error instanceof FederationError)) throw error;
    reply = { words: refuse("broken", error.message) };
  }
  respond(message, reply);
}

function respond(message: Msg, { words, chunk }: Answer<RequestKind>): void {
  const text = JSON.stringify(words);
  if (text.length > MAX_MESSAGE_BYTES) {
    throw new RangeError(`Cannot answer with ${text.length} bytes: expected at most ${MAX_MESSAGE_BYTES}`);
  }
  if (chunk === undefined) return void message.respond(text);
  const head = headers();
  head.set(WORDS_HEADER, text);
  message.respond(chunk, { headers: head });
}

/** A request that isn't granted. */
export function refuse(code: Refusal["code"], reason: string): Refusal {
  return { type: "refused", code, reason };
}

/** Two hosts would both answer, each with a model of its own. */
async function checkAlone(connection: NatsConnection, federation: string): Promise<void> {
  const { hosts, replies } = hostSubjects(federation);
  const reply = `${replies}_host.${crypto.randomUUID()}`;
  const other = await connection.request(hosts, "", { timeout: 2000, noMux: true, reply }).catch(() => {});
  if (other === undefined) return;
  throw new FederationError(
    `Cannot host federation ${federation}: it has a host already on this server; give it another name, or end that host`,
  );
}

function reportClosed(subscription: Subscription, onError: (error: unknown) => void): void {
  void subscription.closed.then((error) => {
    if (error instanceof Error) onError(error);
  });
}
