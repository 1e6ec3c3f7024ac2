import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FederationError } from "../../../../src/network/nats/federation/mod.ts";
import { chunkOf, Incoming, numChunks, packParcel } from "../../../../src/network/nats/federation/parcels.ts";

const payload = fc.uint8Array({ maxLength: 9000 }).map((bytes) => Uint8Array.from(bytes));

test("Incoming puts the chunks of packParcel() together in any order, some twice", async () => {
  await fc.assert(
    fc.asyncProperty(
      payload,
      fc.integer({ min: 9216, max: 12_000 }),
      fc.infiniteStream(fc.nat()),
      async (bytes, room, draws) => {
        const outgoing = await packParcel(bytes, room);
        const incoming = new Incoming(outgoing.parcel, bytes.length);
        const count = numChunks(outgoing.parcel);
        while (incoming.missing.size > 0) {
          const index = draws.next().value! % count;
          incoming.add(index, chunkOf(outgoing, index));
          incoming.add(index, chunkOf(outgoing, index));
        }
        assert.deepEqual(await incoming.open(), bytes);
      },
    ),
    { numRuns: 50 },
  );
});

test("Incoming refuses what isn't the parcel that was announced, before it takes memory for too much", async () => {
  const bytes = new Uint8Array(3000).fill(7);
  const outgoing = await packParcel(bytes, 9216);
  const { parcel } = outgoing;
  assert.deepEqual([parcel.chunkBytes, numChunks(parcel), parcel.sha256.slice(0, 8)], [1024, 3, "48c18776"]);
  const refused = (work: () => unknown, message: string) =>
    assert.throws(work, (error) => error instanceof FederationError && error.message === message);
  refused(
    () => new Incoming({ ...parcel, bytes: 2 ** 40 }, 3000),
    `Cannot take a payload of ${2 ** 40} bytes: expected at most 3000`,
  );
  const incoming = new Incoming(parcel, 3000);
  refused(() => incoming.add(3, new Uint8Array(1)), "Cannot take chunk 3: the payload has 3");
  refused(() => incoming.add(2, new Uint8Array(1024)), "Cannot take chunk 2: expected 952 bytes, got 1024");
  await assert.rejects(incoming.open(), { message: "Cannot open a payload: 3 chunks are missing" });
  for (const index of [0, 1, 2]) {
    incoming.add(
      index,
      chunkOf(outgoing, index).map((byte) => index === 1 ? byte + 1 : byte),
    );
  }
  await assert.rejects(
    incoming.open(),
    (error) =>
      error instanceof FederationError &&
      /^Cannot use a payload of 3000 bytes: expected SHA-256 48c18776…, got/.test(error.message),
  );
  assert.throws(() => chunkOf(outgoing, 3), {
    name: "RangeError",
    message: "Cannot send chunk 3: there are 3",
  });
  await assert.rejects(packParcel(bytes, 9000), {
    name: "FederationError",
    message:
      "Cannot send through a NATS server that takes messages of 9000 bytes: expected max_payload of at least 9216",
  });
});
