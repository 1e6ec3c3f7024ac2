import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import { test } from "node:test";
import { combine, split } from "shamir-secret-sharing";
import {
  agree,
  expandKey,
  keyPair,
  open,
  seal,
} from "../../../../src/fl/privacy/secure_aggregation/_keys.ts";
import { ProtocolError, systemPrimitives } from "../../../../src/fl/privacy/secure_aggregation/mod.ts";

const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

test("keyPair() and agree() give the vectors of RFC 7748", async () => {
  // Section 6.1.
  const alice = await keyPair(hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
  const bob = await keyPair(hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
  assert.equal(text(alice.public), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  assert.equal(text(bob.public), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  const shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
  assert.equal(text(await agree(alice, bob.public)), shared);
  assert.equal(text(await agree(bob, alice.public)), shared);
  // Section 5.2.
  const scalar = await keyPair(hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"));
  const point = hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
  assert.equal(
    text(await agree(scalar, point)),
    "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
  );
});

test("agree() refuses a public key that gives the same secret with every other", async () => {
  const keys = await keyPair(systemPrimitives.randomBytes(32));
  await assert.rejects(agree(keys, new Uint8Array(32)), ProtocolError);
});

test("expandKey() gives the first 32 bytes of RFC 5869, test case 3", async () => {
  const key = await expandKey(hex("0b".repeat(22)), new Uint8Array());
  assert.equal(text(key), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
});

test("seal() gives test case 14 of GCM's specification, and open() undoes it for the same key, box and context alone", async () => {
  const [key, nonce, context] = [new Uint8Array(32), new Uint8Array(12), new Uint8Array()];
  const box = await seal(key, new Uint8Array(16), { nonce, context });
  assert.equal(
    text(box),
    "00".repeat(12) + "cea7403d4d606b6e074ec5d3baf39d18" + "d0d1c8a799996bf0265b98b5d48ab919",
  );
  assert.deepEqual(await open(key, box, context), new Uint8Array(16));
  assert.equal(await open(key, box, Uint8Array.of(1)), undefined);
  assert.equal(await open(Uint8Array.from({ length: 32 }, () => 1), box, context), undefined);
  for (let place = 0; place < box.length; place++) {
    const forged = box.slice();
    forged[place]! ^= 1;
    assert.equal(await open(key, forged, context), undefined, `byte ${place}`);
  }
});

test("systemPrimitives.expand() gives AES-256 of the block numbers, from any multiple of 4 on", async () => {
  // The first is E(0, 0) of GCM's specification, test case 13.
  const first = await systemPrimitives.expand(new Uint8Array(32), 0, 4);
  assert.equal(text(new Uint8Array(first.buffer)), "dc95c078a2408989ad48a21492842087");
  const seed = systemPrimitives.randomBytes(32);
  const counters = Buffer.alloc(16 * 40);
  for (let block = 0; block < 40; block++) counters.writeUInt32BE(block, 16 * block + 12);
  const cipher = createCipheriv("aes-256-ecb", seed, null).setAutoPadding(false);
  const bytes = new Uint8Array(cipher.update(counters));
  const whole = new Uint32Array(bytes.buffer, 0, 160);
  assert.deepEqual(await systemPrimitives.expand(seed, 0, 157), whole.slice(0, 157));
  assert.deepEqual(await systemPrimitives.expand(seed, 36, 5), whole.slice(36, 41));
});

test("combine() interpolates over the field of AES: 0f from two shares by the products of FIPS 197, section 4.2", async () => {
  // The line 0f + 57·x at 83 and 13, where 57·83 = c1 and 57·13 = fe.
  const shares = [Uint8Array.of(0x0f ^ 0xc1, 0x83), Uint8Array.of(0x0f ^ 0xfe, 0x13)];
  assert.deepEqual(await combine(shares), Uint8Array.of(0x0f));
});

test("split() gives a secret back from any `threshold` shares, and other bytes from fewer", async () => {
  const secret = systemPrimitives.randomBytes(32);
  const shares = await split(secret, 5, 3);
  for (let a = 0; a < 5; a++) {
    for (let b = 0; b < a; b++) {
      assert.notDeepEqual(await combine([shares[a]!, shares[b]!]), secret);
      for (let c = 0; c < b; c++) {
        assert.deepEqual(await combine([shares[a]!, shares[b]!, shares[c]!]), secret);
      }
    }
  }
});
