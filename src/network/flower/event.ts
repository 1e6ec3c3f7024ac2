/** What happens to a node, for logs and progress; `describeFlowerEvent` puts each in words. */
export type FlowerEvent =
  /** Waits for something, as `for` says, for so many seconds at most; told when a wait begins and from time to time while it goes on. */
  | { readonly type: "waiting"; readonly for: string; readonly seconds: number }
  /** The SuperLink knows the node, which is ready for messages. */
  | { readonly type: "joined"; readonly superlink: string; readonly nodeId: bigint }
  /** A message has come, whole; `bytes` counts its objects. */
  | {
    readonly type: "received";
    readonly messageId: string;
    readonly messageType: string;
    readonly groupId: string;
    readonly bytes: number;
  }
  /** The reply has arrived; `bytes` counts the objects that the server lacked, `error` is the text of an error reply. */
  | {
    readonly type: "replied";
    readonly messageId: string;
    readonly messageType: string;
    readonly groupId: string;
    readonly bytes: number;
    readonly seconds: number;
    readonly error?: string;
  }
  /** A message or its reply is lost, and why; the server goes on without it. */
  | { readonly type: "lost"; readonly messageId: string; readonly reason: string }
  /** The node has left; `reason` says why it could not tell the server. */
  | { readonly type: "left"; readonly reason?: string };

/**
 * What happened, in words for people.
 *
 * @example
 * ```ts
 * describeFlowerEvent({ type: "waiting", for: "the server", seconds: 12 }); // "Waiting for the server, 12 s at most"
 * ```
 */
export function describeFlowerEvent(event: FlowerEvent): string {
  switch (event.type) {
    case "waiting":
      return `Waiting for ${event.for}, ${Math.ceil(event.seconds)} s at most`;
    case "joined":
      return `Joined ${event.superlink} as node ${event.nodeId}; waiting for work`;
    case "received":
      return `Got a message to ${event.messageType}, ${event.bytes.toLocaleString("en")} bytes`;
    case "replied": {
      const { messageType, bytes, seconds, error } = event;
      const sent = `${bytes.toLocaleString("en")} bytes after ${seconds.toFixed(1)} s`;
      return error === undefined
        ? `Answered the message to ${messageType}: sent ${sent}`
        : `Answered the message to ${messageType} with an error: ${error}`;
    }
    case "lost":
      return `A message or its answer is lost: ${event.reason}`;
    case "left":
      return event.reason === undefined ? "Left" : `Left without the server's knowing: ${event.reason}`;
  }
}
