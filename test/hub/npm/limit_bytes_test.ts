import assert from "node:assert/strict";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { test } from "node:test";
import { createGunzip, gzipSync } from "node:zlib";
import { limitBytes } from "../../../src/hub/npm/_limit_bytes.ts";

test("limitBytes() ends a pipeline at the first byte too many, long before the last", async () => {
  const bomb = gzipSync(new Uint8Array(50 << 20));
  let arrived = 0;
  const count = () =>
    new Writable({
      write(chunk: Uint8Array, _encoding, done) {
        arrived += chunk.byteLength;
        done();
      },
    });
  const run = (most: number) =>
    pipeline(Readable.from([bomb]), createGunzip(), limitBytes(most, () => new Error("too much")), count());
  await assert.rejects(run(1_000_000), { message: "too much" });
  assert.ok(arrived <= 1_000_000);
  arrived = 0;
  await run(50 << 20);
  assert.equal(arrived, 50 << 20);
});
