import { FlowerFormatError, UnknownMessageTypeError } from "../errors.ts";
import type { FlowerMessage } from "../message.ts";
import type { ReplyError } from "../objects/deflate.ts";
import { inflateRecords } from "../objects/inflate.ts";
import type { FlowerRecords } from "../records/record.ts";
import type { Proto } from "../wire/flower_proto.ts";
import { receiveObjects } from "./receive.ts";
import { makeReply, type Reply, sendReply } from "./reply.ts";
import type { ServeOptions } from "./serve_messages.ts";

/** Longest text of an error reply. */
const MAX_REASON = 1000;
/** Longest time of a timer, in milliseconds. */
const MAX_TIMER = 2 ** 31 - 1;

/**
 * Gets a message, has it handled and sends the reply; whatever the handler throws becomes an error reply.
 *
 * @throws {SuperlinkError} the server refuses, or was away for too long.
 * @throws {FlowerFormatError} the server doesn't take the reply's objects.
 * @throws {Error} the handler goes on after its signal.
 */
export async function serveMessage(
  metadata: Proto<"Metadata">,
  tree: Proto<"ObjectTree">,
  options: ServeOptions,
): Promise<void> {
  const { client, membership, signal, onEvent } = options;
  const { messageId, messageType, groupId } = metadata;
  const begun = performance.now();
  const content = await contentOf(metadata, tree, options);
  const { reply, error } = replyTo(metadata, content);
  if (reply.metadata.ttl <= 0) {
    onEvent({
      type: "lost",
      messageId,
      reason: `it was not done within the ${metadata.ttl} s that the server gave`,
    });
    return;
  }
  const seconds = (performance.now() - begun) / 1000;
  const bytes = await sendReply(reply, { client, seconds, signal });
  if (bytes === undefined) {
    const reason =
      "the server dropped the reply: it came too late, or the run, the message or the node is no longer known";
    onEvent({ type: "lost", messageId, reason });
    return;
  }
  membership.noteReply();
  onEvent({
    type: "replied",
    messageId,
    messageType,
    groupId,
    bytes,
    seconds,
    ...(error !== undefined && { error }),
  });
}

async function contentOf(
  metadata: Proto<"Metadata">,
  tree: Proto<"ObjectTree">,
  options: ServeOptions,
): Promise<FlowerRecords | ReplyError> {
  const { client, membership: { node }, timing, maxBytes, signal, onEvent } = options;
  const { runId, messageId, messageType, groupId, createdAt, ttl } = metadata;
  let records: FlowerRecords;
  try {
    const objects = await receiveObjects(tree, {
      client,
      node,
      runId,
      maxBytes,
      patience: timing.patience,
      signal,
      onEvent,
    });
    await client.call("confirm-message-received", { node, runId, messageObjectId: messageId }, { signal });
    records = inflateRecords(messageId, objects, { maxBytes });
    const bytes = [...objects.values()].reduce((sum, object) => sum + object.bytes.length, 0);
    onEvent({ type: "received", messageId, messageType, groupId, bytes });
  } catch (error) {
    if (!(error instanceof FlowerFormatError)) throw error;
    return errorReply(error);
  }
  return await handle({ runId, messageId, type: messageType, groupId, createdAt, ttl, records }, options);
}

async function handle(
  message: FlowerMessage,
  { handler, membership: { nodeId }, timing: { grace }, signal: leaving }: ServeOptions,
): Promise<FlowerRecords | ReplyError> {
  const left = (message.createdAt + message.ttl) * 1000 - Date.now();
  const expiring = new AbortController();
  const expire = () => expiring.abort(new Error(`Cannot go on: the ${message.ttl} s for the reply are over`));
  const expiry = setTimeout(expire, left > 0 ? Math.min(left, MAX_TIMER) : 0).unref();
  const signal = AbortSignal.any([leaving, expiring.signal]);
  const work = async () => {
    try {
      signal.throwIfAborted();
      const records = await handler(message, { nodeId, signal });
      if (records instanceof Map) return records;
      throw new TypeError(
        `Cannot reply to ${message.type}: expected a Map of records, got ${typeof records}`,
      );
    } catch (error) {
      return errorReply(error);
    } finally {
      clearTimeout(expiry);
    }
  };
  const overdue = new Promise<never>((_, reject) => {
    const fail = () => {
      reject(
        new Error(`Cannot go on: the handler of ${message.type} did not end within ${grace} s of its signal`),
      );
    };
    signal.addEventListener("abort", () => setTimeout(fail, grace * 1000).unref(), { once: true });
  });
  return await Promise.race([work(), overdue]);
}

/** The reply with what a handler gave, or with the error that this can't be sent. */
function replyTo(
  metadata: Proto<"Metadata">,
  content: FlowerRecords | ReplyError,
): { readonly reply: Reply; readonly error: string | undefined } {
  try {
    return { reply: makeReply(metadata, content), error: "code" in content ? content.reason : undefined };
  } catch (error) {
    const instead = errorReply(error);
    return { reply: makeReply(metadata, instead), error: instead.reason };
  }
}

function errorReply(error: unknown): ReplyError {
  const reason = error instanceof Error ? error.message : String(error);
  return { code: error instanceof UnknownMessageTypeError ? 1 : 2, reason: reason.slice(0, MAX_REASON) };
}
