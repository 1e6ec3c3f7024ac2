import type { FleetClient } from "../client/fleet_client.ts";
import { FlowerFormatError } from "../errors.ts";
import type { FlowerRecords } from "../records/record.ts";
import {
  deflateMessage,
  errorProto,
  type ObjectSet,
  objectTree,
  type ReplyError,
  type ReplyMetadata,
} from "../objects/deflate.ts";
import type { Proto } from "../wire/flower_proto.ts";
import { forEach } from "./for_each.ts";

/** Objects that are sent at the same time. */
const AT_ONCE = 4;
/** How often a reply is announced whose objects the server doesn't take. */
const ATTEMPTS = 3;

/** A reply that can be sent. */
export interface Reply {
  readonly id: string;
  readonly metadata: ReplyMetadata;
  readonly content: FlowerRecords | ReplyError;
  readonly objects: ObjectSet;
}

/**
 * Makes the reply to a message.
 *
 * @param instruction what the message says of itself.
 * @throws {TypeError} a record has a value that Flower has no type for, or an array that isn't of float32.
 * @throws {RangeError} an integer doesn't fit 64 bits, or an array's shape its data.
 */
export function makeReply(instruction: Proto<"Metadata">, content: FlowerRecords | ReplyError): Reply {
  const now = Date.now() / 1000;
  const metadata = {
    runId: instruction.runId,
    srcNodeId: instruction.dstNodeId,
    dstNodeId: instruction.srcNodeId,
    replyToMessageId: instruction.messageId,
    groupId: instruction.groupId,
    messageType: instruction.messageType,
    createdAt: now,
    ttl: instruction.createdAt + instruction.ttl - now,
  };
  const objects = deflateMessage(metadata, content);
  return { id: [...objects.keys()].at(-1)!, metadata, content, objects };
}

/** What {@linkcode sendReply} needs. */
export interface SendReplyOptions {
  readonly client: FleetClient;
  /** Seconds that the work took. */
  readonly seconds: number;
  /** Ends the wait for a server that is away. */
  readonly signal: AbortSignal;
}

/**
 * Sends a reply: its announcement, and the objects that the server lacks. Announcing it again does no harm, as it has one id.
 *
 * @returns the bytes of the objects that were sent; undefined if the server dropped the reply.
 * @throws {FlowerFormatError} the server asks for what isn't the reply's, or doesn't take its objects.
 * @throws {SuperlinkError} the server refuses, or was away for too long.
 */
export async function sendReply(
  { id, metadata, content, objects }: Reply,
  { client, seconds, signal }: SendReplyOptions,
): Promise<number | undefined> {
  const node = { nodeId: metadata.srcNodeId };
  const announcement = {
    node,
    messagesList: [{
      metadata: { ...metadata, messageId: id },
      ...("code" in content ? { error: errorProto(content) } : { content: {} }),
    }],
    messageObjectTrees: [objectTree(objects, id)],
    clientappRuntimeList: [seconds],
  };
  let bytes = 0;
  let isTaken = false;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { objectsToPush, sessionId } = await client.call("push-messages", announcement, { signal });
    const wanted = new Set(objectsToPush);
    const foreign = objectsToPush.find((each) => !objects.has(each));
    if (foreign !== undefined) {
      const text = JSON.stringify(foreign.slice(0, 100));
      throw new FlowerFormatError(
        `Cannot send the reply: the server asks for ${text}, which is none of its objects`,
      );
    }
    // The message itself is always new to a server, which asks for it, or has dropped the reply without a word.
    isTaken ||= wanted.has(id);
    if (!isTaken) return undefined;
    let isStored = true;
    // Children come first, so that the server's program finds them when it sees the message.
    await forEach([...objects.values()].filter((each) => wanted.has(each.id)), AT_ONCE, async (object) => {
      const request = {
        node,
        runId: metadata.runId,
        objectId: object.id,
        objectContent: object.bytes,
        sessionId,
      };
      const { stored } = await client.call("push-object", request, { signal });
      bytes += object.bytes.length;
      isStored &&= stored;
    });
    if (isStored) return bytes;
  }
  throw new FlowerFormatError(
    `Cannot send the reply: the server did not take its objects in ${ATTEMPTS} attempts`,
  );
}
