import { CorruptFileError } from "../../../data/errors.ts";
import type { StoredTensor } from "../../../models/weights/dtype.ts";
import {
  encodeSafetensors,
  readSafetensors,
  safetensorsLength,
} from "../../../models/weights/safetensors.ts";
import { BOX_BYTES, KEY_BYTES, type SecureMessage, SHARE_BYTES } from "./messages.ts";

/** Bytes of a row of a field; 0 for whole numbers of 32 bits. */
type Fields = Readonly<Record<string, number>>;

const numbers = 0;
const layouts: Readonly<Record<SecureMessage["kind"], Fields>> = {
  "setup": { holders: numbers },
  "advertised-keys": { encryptionKey: KEY_BYTES, maskKey: KEY_BYTES },
  "key-directory": { clients: numbers, encryptionKeys: KEY_BYTES, maskKeys: KEY_BYTES },
  "sealed-shares": { commitment: KEY_BYTES, clients: numbers, boxes: BOX_BYTES },
  "forwarded-shares": { clients: numbers, boxes: BOX_BYTES },
  "masked-vector": { vector: numbers },
  "unmask-request": { alive: numbers, dropped: numbers },
  "unmask-shares": { alive: numbers, seedShares: SHARE_BYTES, dropped: numbers, keyShares: SHARE_BYTES },
};

const format = "federa-secure-aggregation";

/**
 * A message as one safetensors file: its numbers as U32, its bytes as U8, row by row. Equal messages give equal bytes.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const message = { kind: "masked-vector", session: "00".repeat(16), client: 3, vector: Uint32Array.of(7, 2 ** 32 - 1) } as const;
 * assert.deepEqual(decodeMessage(encodeMessage(message)), message);
 * ```
 */
export function encodeMessage(message: SecureMessage): Uint8Array<ArrayBuffer> {
  return encodeSafetensors(tensorsOf(message), metadataOf(message));
}

/** Bytes of {@linkcode encodeMessage}, without making them. */
export function messageLength(message: SecureMessage): number {
  return safetensorsLength(tensorsOf(message), metadataOf(message));
}

/**
 * The message in bytes, which aren't trusted; its arrays may be views of them.
 *
 * @throws {CorruptFileError} when it isn't a message of secure aggregation, or lacks a part.
 */
export function decodeMessage(bytes: Uint8Array): SecureMessage {
  const { tensors, metadata } = readSafetensors(bytes);
  const { kind, session, client, threshold } = metadata;
  if (metadata["format"] !== format) throw corrupt(`its format must be ${format}, got ${metadata["format"]}`);
  if (kind === undefined || !Object.hasOwn(layouts, kind)) {
    throw corrupt(`its kind must be one of ${Object.keys(layouts).join(", ")}, got ${kind}`);
  }
  if (session === undefined || !/^[0-9a-f]{32}$/.test(session)) throw corrupt(`its session is missing`);
  const fields = Object.entries(layouts[kind as SecureMessage["kind"]]).map(([name, row]) => {
    const stored = tensors.get(name);
    const isWhole = row === 0
      ? stored?.dtype === "U32" && stored.shape.length === 1
      : stored?.dtype === "U8" && stored.shape.length === 2 && stored.shape[1] === row;
    if (!isWhole) throw corrupt(`its ${name} is missing or damaged`);
    return [name, stored!.data] as const;
  });
  return {
    kind,
    session,
    client: number(client, "client"),
    ...(kind === "setup" && { threshold: number(threshold, "threshold") }),
    ...Object.fromEntries(fields),
  } as SecureMessage;
}

function metadataOf(message: SecureMessage): Record<string, string> {
  const { kind, session, client } = message;
  return {
    format,
    kind,
    session,
    client: String(client),
    ...(message.kind === "setup" && { threshold: String(message.threshold) }),
  };
}

function tensorsOf(message: SecureMessage): Map<string, StoredTensor> {
  const data = message as unknown as Readonly<Record<string, Uint8Array | Uint32Array>>;
  return new Map(
    Object.entries(layouts[message.kind]).map(([name, row]): [string, StoredTensor] => {
      const field = data[name]!;
      return [
        name,
        row === 0
          ? { dtype: "U32", shape: [field.length], data: field as Uint32Array }
          : { dtype: "U8", shape: [field.length / row, row], data: field as Uint8Array },
      ];
    }),
  );
}

function number(text: string | undefined, what: string): number {
  if (text !== undefined && /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32) return Number(text);
  throw corrupt(`its ${what} must be a whole number, got ${text}`);
}

function corrupt(what: string): CorruptFileError {
  return new CorruptFileError(`Cannot read a message of secure aggregation: ${what}`);
}
