import { sleep } from "../../../hub/hugging_face/retry.ts";
import type { FleetClient } from "../client/fleet_client.ts";
import { SILENCE } from "../client/timing.ts";
import { FlowerFormatError } from "../errors.ts";
import type { FlowerEvent } from "../event.ts";
import { type FlowerObject, isObjectId, parseObject } from "../objects/flower_object.ts";
import type { Proto } from "../wire/flower_proto.ts";
import { forEach } from "./for_each.ts";

/** Objects that are asked for at the same time. */
const AT_ONCE = 4;
/** Seconds before an object that a server doesn't have yet is asked for again; they double up to the longest. */
const FIRST_PAUSE = 1;
const LONGEST_PAUSE = 10;

/** What {@linkcode receiveObjects} needs. */
export interface ReceiveOptions {
  readonly client: FleetClient;
  readonly node: { readonly nodeId: bigint };
  readonly runId: bigint;
  /** Most bytes of all objects. */
  readonly maxBytes: number;
  /** Seconds to wait for objects that the server doesn't have yet. */
  readonly patience: number;
  readonly signal: AbortSignal;
  readonly onEvent: (event: FlowerEvent) => void;
}

/**
 * Gets the objects of a message.
 *
 * @param tree their ids, as the server announced them.
 * @throws {FlowerFormatError} an object is missing, too large or not what its id says.
 * @throws {SuperlinkError} the server refuses.
 */
export async function receiveObjects(
  tree: Proto<"ObjectTree">,
  options: ReceiveOptions,
): Promise<Map<string, FlowerObject>> {
  const objects = new Map<string, FlowerObject>();
  let bytes = 0;
  await forEach(idsOf(tree), AT_ONCE, async (id) => {
    const object = parseObject(id, await pullObject(id, options));
    bytes += object.bytes.length;
    if (bytes > options.maxBytes) {
      throw new FlowerFormatError(
        `Cannot read the message: expected at most ${options.maxBytes} bytes, got more`,
      );
    }
    objects.set(id, object);
  });
  return objects;
}

/** Ids of a tree, children first, each once. */
function idsOf(tree: Proto<"ObjectTree">, ids: Set<string> = new Set()): Set<string> {
  for (const child of tree.children) idsOf(child, ids);
  if (!isObjectId(tree.objectId)) {
    throw new FlowerFormatError(
      `Cannot read the message: ${JSON.stringify(tree.objectId.slice(0, 100))} is no object's id`,
    );
  }
  return ids.add(tree.objectId);
}

async function pullObject(id: string, options: ReceiveOptions): Promise<Uint8Array> {
  const { client, node, runId, patience, signal, onEvent } = options;
  let said = 0;
  for (let waited = 0, pause = FIRST_PAUSE;; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    const { objectFound, objectAvailable, objectContent } = await client.call(
      "pull-object",
      { node, runId, objectId: id },
      { signal },
    );
    if (!objectFound) throw new FlowerFormatError(`Cannot read object ${id}: the server no longer has it`);
    if (objectAvailable) return objectContent;
    if (waited >= patience) {
      throw new FlowerFormatError(`Cannot read object ${id}: the server did not get it within ${patience} s`);
    }
    if (waited - said >= SILENCE) {
      said = waited;
      onEvent({
        type: "waiting",
        for: `object ${id}, which the server does not have yet`,
        seconds: patience - waited,
      });
    }
    const seconds = pause * (0.8 + 0.4 * Math.random());
    waited += seconds;
    await sleep(seconds * 1000, signal);
  }
}
