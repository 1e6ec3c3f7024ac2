import { createHash, type Hash } from "node:crypto";

/**
 * SHA-256, in hexadecimal, of a value's content: plain values, lists, maps and objects, and the bytes of typed arrays. Keys of
 * objects count in sorted order, functions and keys that are undefined don't count.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(contentHash({ a: 1, b: Float32Array.of(2) }), contentHash({ b: Float32Array.of(2), a: 1 }));
 * assert.notEqual(contentHash(Float32Array.of(0)), contentHash(Float32Array.of(-0)));
 * ```
 */
export function contentHash(value: unknown): string {
  const hash = createHash("sha256");
  feed(hash, value);
  return hash.digest("hex");
}

function feed(hash: Hash, value: unknown): void {
  if (ArrayBuffer.isView(value)) {
    hash.update(`${value.constructor.name} ${value.byteLength}\n`);
    hash.update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  } else if (Array.isArray(value)) {
    hash.update(`list ${value.length}\n`);
    if (value.every((each) => typeof each === "number")) hash.update(JSON.stringify(value));
    else for (const each of value) feed(hash, each);
  } else if (value instanceof Map) {
    hash.update(`map ${value.size}\n`);
    for (const entry of value) feed(hash, entry);
  } else if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, each]) =>
      each !== undefined && typeof each !== "function"
    );
    hash.update(`object ${entries.length}\n`);
    for (const [key, each] of entries.sort(([a], [b]) => a < b ? -1 : 1)) {
      hash.update(`${JSON.stringify(key)}\n`);
      feed(hash, each);
    }
  } else hash.update(`${JSON.stringify(value)}\n`);
}
