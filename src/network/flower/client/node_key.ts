import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { platform } from "node:os";
import { errorCode } from "../../../data/files/error_code.ts";
import { describeCause } from "../../../data/files/describe_cause.ts";
import { writeFileAtomic } from "../../../data/mod.ts";
import { NodeKeyError } from "../errors.ts";

/** The elliptic curve of nodes' keys: P-384. */
const CURVE = "secp384r1";

/** By what a SuperLink knows a node. */
export class NodeKey {
  /** The public key, as the server keeps it: the bytes of a PEM text. */
  readonly publicKey: Uint8Array;
  readonly #privateKey: KeyObject;

  constructor(privateKey: KeyObject) {
    this.#privateKey = privateKey;
    this.publicKey = new TextEncoder().encode(
      createPublicKey(privateKey).export({ type: "spki", format: "pem" }) as string,
    );
  }

  /** A new key. */
  static generate(): NodeKey {
    return new NodeKey(generateKeyPairSync("ec", { namedCurve: CURVE }).privateKey);
  }

  /** Signature of a text by ECDSA over its SHA-256, in DER. */
  sign(text: string): Uint8Array {
    return sign("sha256", new TextEncoder().encode(text), this.#privateKey);
  }

  /** The private key as a PEM text (PKCS #8). */
  toPem(): string {
    return this.#privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  }

  /** The public key in one line as OpenSSH writes it, which `flwr supernode register` reads. */
  toOpenSsh(): string {
    const { x, y } = createPublicKey(this.#privateKey).export({ format: "jwk" });
    const point = Buffer.concat([Buffer.of(4), Buffer.from(x!, "base64url"), Buffer.from(y!, "base64url")]);
    const type = "ecdsa-sha2-nistp384";
    const parts = [Buffer.from(type), Buffer.from("nistp384"), point].flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(part.length);
      return [length, part];
    });
    return `${type} ${Buffer.concat(parts).toString("base64")}\n`;
  }
}

/**
 * Reads the key of a node from a file, or makes one: then the file may be read by its owner alone, and the public key is
 * written beside it as `FILE.pub`.
 *
 * @throws {NodeKeyError} others may read the file, or it holds no key of the curve P-384 (PEM).
 * @throws {WriteError} the file cannot be written.
 */
export async function openNodeKey(path: string): Promise<NodeKey> {
  const fail = (reason: string, cause?: unknown) =>
    new NodeKeyError(`Cannot use the node key ${path}: ${reason}`, { cause });
  let text: string;
  try {
    const { mode } = await stat(path);
    // Windows has no such modes.
    if (platform() !== "win32" && (mode & 0o077) !== 0) {
      const found = (mode & 0o777).toString(8);
      throw fail(`expected a file that its owner alone may read, got mode ${found}; run chmod 600 ${path}`);
    }
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof NodeKeyError) throw error;
    if (errorCode(error) !== "ENOENT") throw fail(describeCause(error), error);
    return await makeNodeKey(path);
  }
  if (text.includes("BEGIN OPENSSH PRIVATE KEY")) {
    throw fail(`it is in OpenSSH's own format; convert it with ssh-keygen -p -m PKCS8 -f ${path}`);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch (cause) {
    throw fail("expected a private key in PEM; name a file that doesn't exist to have a key made", cause);
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type !== "ec" || details?.namedCurve !== CURVE) {
    throw fail(`expected a key of the curve ${CURVE} (P-384), got ${details?.namedCurve ?? type}`);
  }
  return new NodeKey(key);
}

async function makeNodeKey(path: string): Promise<NodeKey> {
  const key = NodeKey.generate();
  await writeFileAtomic(path, key.toPem(), { mode: 0o600 });
  await writeFileAtomic(`${path}.pub`, key.toOpenSsh());
  return key;
}
