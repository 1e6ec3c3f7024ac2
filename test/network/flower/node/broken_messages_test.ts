import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { addOne } from "../../../support/add_one.ts";
import { mockFederation, twoArrays } from "../../../support/flower_node.ts";
import type { Instruction } from "../../../support/mock_superlink.ts";
import { VECTORS } from "../vectors.ts";

const federation = mockFederation();
const { start } = federation;
/** The array [[1, 2], [3, 4]] of {@linkcode twoArrays}, and its bytes. */
const ARRAY = VECTORS.array.id;
const CHUNK = VECTORS.chunk.id;

/** The text of the error reply to a message that is meddled with. */
async function errorFor(
  meddle: Instruction["meddle"],
  options: Parameters<typeof start>[0] = {},
): Promise<string> {
  start({ handler: () => assert.fail("the handler got a broken message"), ...options });
  const { nodeId } = await federation.server.node();
  const outcome = await federation.server.send(nodeId, { records: twoArrays(), ...(meddle && { meddle }) });
  assert.ok("error" in outcome);
  assert.equal(outcome.error.code, 2n);
  return outcome.error.reason;
}

test("runFlowerNode() refuses an object whose bytes have another hash", async () => {
  const reason = await errorFor((objects) => objects.get(CHUNK)![159]! ^= 1);
  assert.match(reason, new RegExp(`^Cannot read object ${CHUNK}: its bytes have the hash [0-9a-f]{64}$`));
});

test("runFlowerNode() refuses a message of which an object is gone", async () => {
  assert.equal(
    await errorFor((objects) => objects.delete(ARRAY)),
    `Cannot read object ${ARRAY}: the server no longer has it`,
  );
});

test("runFlowerNode() refuses a message that is larger than its limit", async () => {
  const reason = await errorFor(undefined, { maxBytes: 1000 });
  assert.equal(reason, "Cannot read the message: expected at most 1000 bytes, got more");
});

test("runFlowerNode() waits for an object that the server does not have yet", async () => {
  const { server } = federation;
  start({ handler: addOne });
  const { nodeId } = await server.node();
  let chunk: Uint8Array = new Uint8Array();
  const sent = server.send(nodeId, {
    records: twoArrays(),
    meddle: (objects) => {
      chunk = objects.get(CHUNK)!;
      objects.set(CHUNK, new Uint8Array());
    },
  });
  await delay(200);
  server.provide(CHUNK, chunk);
  assert.ok("records" in await sent);
});

test("runFlowerNode() gives up an object that never comes", async () => {
  const reason = await errorFor((objects) => objects.set(CHUNK, new Uint8Array()), {
    timing: { patience: 0.1 },
  });
  assert.equal(reason, `Cannot read object ${CHUNK}: the server did not get it within 0.1 s`);
});
