import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { NodeKey, openNodeKey } from "../../../../src/network/flower/client/node_key.ts";
import { temporaryFolder } from "../../../support/temporary_files.ts";

const folder = temporaryFolder();

async function fileOf(name: string, text: string, mode = 0o600): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text, { mode });
  await chmod(path, mode);
  return path;
}

test("openNodeKey() makes a key once, whose signatures its public key verifies", async () => {
  const path = join(folder, "made.key");
  const key = await openNodeKey(path);
  assert.match(
    new TextDecoder().decode(key.publicKey),
    /^-----BEGIN PUBLIC KEY-----\n[^]*-----END PUBLIC KEY-----\n$/,
  );
  const text = "2026-11-27T12:00:00.123+00:00";
  const publicKey = createPublicKey(new TextDecoder().decode(key.publicKey));
  assert.ok(verify("sha256", new TextEncoder().encode(text), publicKey, key.sign(text)));
  assert.equal(key.sign(text)[0], 0x30, "a DER sequence");
  assert.deepEqual((await openNodeKey(path)).publicKey, key.publicKey);
});

test("openNodeKey() reads keys as OpenSSL writes them", async () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "secp384r1" });
  const text = privateKey.export({ type: "sec1", format: "pem" }) as string;
  const key = await openNodeKey(await fileOf("sec1.key", text));
  assert.deepEqual(key.publicKey, new NodeKey(privateKey).publicKey);
});

test("NodeKey.toOpenSsh() writes the point behind the names of its type and curve", () => {
  const key = NodeKey.generate();
  const [type, text] = key.toOpenSsh().trim().split(" ");
  assert.equal(type, "ecdsa-sha2-nistp384");
  const bytes = Buffer.from(text!, "base64");
  assert.equal(bytes.length, 4 + 19 + 4 + 8 + 4 + 97);
  // The last 97 bytes of the public key in DER are the point, too.
  const der = createPublicKey(new TextDecoder().decode(key.publicKey)).export({
    type: "spki",
    format: "der",
  });
  assert.deepEqual(bytes.subarray(-97), der.subarray(-97));
});

test("openNodeKey() refuses what others may read, and says what to do", async () => {
  const path = await fileOf("open.key", NodeKey.generate().toPem(), 0o640);
  await assert.rejects(openNodeKey(path), {
    name: "NodeKeyError",
    message:
      `Cannot use the node key ${path}: expected a file that its owner alone may read, got mode 640; run chmod 600 ${path}`,
  });
});

test("openNodeKey() refuses what isn't a key of its curve, and leaves the file", async () => {
  const p256 = generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey.export({
    type: "pkcs8",
    format: "pem",
  });
  const ed25519 = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
  const wrong: [string, string, RegExp][] = [
    ["p256.key", p256 as string, /expected a key of the curve secp384r1 \(P-384\), got prime256v1$/],
    ["ed25519.key", ed25519 as string, /expected a key of the curve secp384r1 \(P-384\), got ed25519$/],
    [
      "text.key",
      "hello",
      /expected a private key in PEM; name a file that doesn't exist to have a key made$/,
    ],
    ["empty.key", "", /expected a private key in PEM/],
    ["public.key", new TextDecoder().decode(NodeKey.generate().publicKey), /expected a private key in PEM/],
    [
      "ssh.key",
      "-----BEGIN OPENSSH PRIVATE KEY-----\n",
      /convert it with ssh-keygen -p -m PKCS8 -f \S+ssh\.key$/,
    ],
  ];
  for (const [name, text, message] of wrong) {
    const path = await fileOf(name, text);
    await assert.rejects(openNodeKey(path), { name: "NodeKeyError", message });
    assert.equal(await readFile(path, "utf8"), text);
  }
  await assert.rejects(openNodeKey(folder), { name: "NodeKeyError" });
  await assert.rejects(openNodeKey(join(folder, "none", "node.key")), { name: "WriteError" });
});
