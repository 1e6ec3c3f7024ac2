import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { Objm } from "@nats-io/obj";
import { connectNats } from "../../../src/network/nats/connection.ts";
import { NatsError, NatsObjectError } from "../../../src/network/nats/errors.ts";
import { Objects, sha256Of } from "../../../src/network/nats/objects.ts";
import { startNats, withoutNats } from "../../support/nats_server.ts";

const skip = await withoutNats();

function bytesOf(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 2654435761) >>> 13);
}

test("Objects keeps bytes under their SHA-256, of any size, once", { skip }, async () => {
  await using server = await startNats();
  const connection = await connectNats(server.url);
  const objects = await Objects.create(connection, "kept", { maxBytes: 2 ** 24, maxAgeSeconds: 60 });
  for (const size of [0, 1, 131_071, 131_072, 131_073, 1_000_003]) {
    const bytes = bytesOf(size);
    const sha256 = await objects.put(bytes);
    assert.equal(sha256, createHash("sha256").update(bytes).digest("hex"));
    assert.equal(await objects.sizeOf(sha256), size);
    const told: number[] = [];
    const got = await objects.get(sha256, { maxBytes: size, onProgress: (done) => told.push(done) });
    assert.deepEqual(Buffer.compare(got, bytes), 0);
    assert.equal(told.at(-1) ?? 0, size);
  }
  const manager = await jetstreamManager(connection);
  const before = (await manager.streams.info("OBJ_kept")).state.last_seq;
  await objects.put(bytesOf(1_000_003));
  assert.equal((await manager.streams.info("OBJ_kept")).state.last_seq, before);
  await connection.close();
});

test("Objects refuses what is missing, too large or something else, and fills no more than its bucket", {
  skip,
}, async () => {
  await using server = await startNats();
  const connection = await connectNats(server.url);
  const objects = await Objects.create(connection, "checked", { maxBytes: 300_000 });
  const bytes = bytesOf(200_000);
  const sha256 = await objects.put(bytes);
  await assert.rejects(
    objects.get(sha256, { maxBytes: 199_999 }),
    { name: "NatsObjectError", message: /it has 200000 bytes, expected at most 199999/ },
  );
  const missing = "0".repeat(64);
  await assert.rejects(objects.get(missing, { maxBytes: 9 }), /there is no such object/);
  assert.equal(await objects.sizeOf(missing), undefined);
  await assert.rejects(
    objects.put(bytesOf(200_001)),
    (error: Error) =>
      error instanceof NatsError &&
      /Cannot store .* in the bucket checked: .*maximum bytes/.test(error.message),
  );
  // Somebody who may write puts other bytes under the name.
  const store = await new Objm(connection).open("checked");
  const other = await sha256Of(bytesOf(10));
  await store.putBlob({ name: other }, bytesOf(11));
  await assert.rejects(objects.get(other, { maxBytes: 100 }), /it is stored with another hash/);
  // … or changes a part of it: the last one with the same subject counts.
  const subject = `$O.checked.C.${(await store.info(sha256))!.nuid}`;
  await objects.remove(other);
  const manager = await jetstreamManager(connection);
  await manager.streams.purge("OBJ_checked", { filter: subject });
  for (const part of [bytes.slice(0, 131_072), bytes.slice(131_072).reverse()]) {
    await connection.request(subject, part);
  }
  await assert.rejects(
    objects.get(sha256, { maxBytes: 200_000 }),
    (error: Error) => error instanceof NatsObjectError && /its bytes have another hash/.test(error.message),
  );
  await manager.streams.purge("OBJ_checked", { filter: subject });
  await assert.rejects(
    objects.get(sha256, { maxBytes: 200_000, timeoutSeconds: 0.3 }),
    /nothing more came within 0.3 s/,
  );
  await objects.destroy();
  await objects.destroy();
  await assert.rejects(objects.get(sha256, { maxBytes: 200_000 }), NatsError);
  await connection.close();
});
