import type { FlowerEvent } from "./event.ts";

/**
 * An event in one line, for logs.
 *
 * @example
 * ```ts
 * describeFlowerEvent({ type: "joined", superlink: "http://127.0.0.1:8000", nodeId: 7n }); // "Joined http://127.0.0.1:8000 as node 7"
 * ```
 */
export function describeFlowerEvent(event: FlowerEvent): string {
  switch (event.type) {
    case "waiting":
      return `Waiting for ${event.for} (${event.seconds.toFixed(0)} s at most)`;
    case "joined":
      return `Joined ${event.superlink} as node ${event.nodeId}`;
    case "received":
      return `Received ${name(event)}: ${event.bytes} bytes`;
    case "replied":
      return event.error === undefined
        ? `Answered ${name(event)} after ${event.seconds.toFixed(1)} s: ${event.bytes} bytes sent`
        : `Answered ${name(event)} with an error: ${event.error}`;
    case "lost":
      return `Lost message ${event.messageId.slice(0, 8)}: ${event.reason}`;
    case "left":
      return event.reason === undefined ? "Left" : `Left without the server knowing: ${event.reason}`;
  }
}

function name(
  { messageType, messageId }: { readonly messageType: string; readonly messageId: string },
): string {
  return `${messageType} ${messageId.slice(0, 8)}`;
}
