import { ProtocolError, TooFewClientsError } from "./errors.ts";
import { equalBytes, rowOf } from "./_keys.ts";
import {
  BOX_BYTES,
  type ForwardedShares,
  KEY_BYTES,
  type KeyDirectory,
  type Setup,
  type UnmaskRequest,
} from "./messages.ts";
import { lowestThreshold } from "./neighbors.ts";

/**
 * Makes sure that the server's set-up is safe.
 *
 * @throws {ProtocolError} when it isn't: a threshold of no more than half of the shares, or above them.
 */
export function checkSetup({ client, holders, threshold }: Setup): void {
  const lowest = lowestThreshold(holders.length);
  if (!(threshold >= lowest && threshold <= holders.length)) {
    throw refusal(
      client,
      `take part: the threshold must be from ${lowest} to ${holders.length}, got ${threshold}`,
    );
  }
  if (!holders.includes(client) || !isAscending(holders)) {
    throw refusal(client, `take part: its holders must be different clients, and it one of them`);
  }
}

/**
 * Makes sure that a directory is of the holders, with the keys that the client has sent itself.
 *
 * @param own the public keys that the client has sent.
 * @throws {TooFewClientsError} when the directory has fewer clients than the threshold.
 * @throws {ProtocolError} when it has others than the holders, equal keys, or wrong ones of the client.
 */
export function checkDirectory(
  { client, holders, threshold }: Setup,
  { clients, encryptionKeys, maskKeys }: KeyDirectory,
  own: { readonly encryptionKey: Uint8Array; readonly maskKey: Uint8Array },
): void {
  const refuse = (why: string) => refusal(client, `share keys: ${why}`);
  checkCount({ client, threshold }, "share keys", clients.length);
  const lengths = [encryptionKeys, maskKeys].map(({ length }) => length);
  if (!isAscending(clients) || lengths.some((length) => length !== clients.length * KEY_BYTES)) {
    throw refuse("expected two keys of each of different clients");
  }
  const stranger = clients.find((id) => !holders.includes(id));
  if (stranger !== undefined) throw refuse(`client ${stranger} isn't one of its holders`);
  const keys = [...clients].flatMap((_, place) =>
    [encryptionKeys, maskKeys].map((all) => rowOf(all, place, KEY_BYTES).toString())
  );
  if (new Set(keys).size < keys.length) throw refuse("two keys are equal");
  const place = clients.indexOf(client);
  const isOwn = place >= 0 && equalBytes(rowOf(encryptionKeys, place, KEY_BYTES), own.encryptionKey) &&
    equalBytes(rowOf(maskKeys, place, KEY_BYTES), own.maskKey);
  if (!isOwn) throw refuse("the directory has other keys of it than it sent");
}

/**
 * Makes sure that enough others share their secrets.
 *
 * @throws {TooFewClientsError} when, itself counted, those who share are fewer than the threshold.
 * @throws {ProtocolError} when they come twice or have no box each.
 */
export function checkForwarded(setup: Setup, { clients, boxes }: ForwardedShares): void {
  checkCount(setup, "mask its vector", clients.length + 1);
  if (boxes.length !== clients.length * BOX_BYTES || !isAscending(clients)) {
    throw refusal(setup.client, "mask its vector: expected a box from each of different clients");
  }
}

/**
 * Makes sure that what is asked for takes the masks off the sum alone.
 *
 * @throws {ProtocolError} when both shares of one client are asked for, which would take all masks off its vector, or one twice.
 * @throws {TooFewClientsError} when fewer vectors than the threshold have come: their sum would hide too little.
 */
export function checkRequest(setup: Setup, { alive, dropped }: UnmaskRequest): void {
  const { client } = setup;
  checkCount(setup, "unmask", alive.length);
  if (!isAscending(alive) || !isAscending(dropped)) {
    throw refusal(client, "unmask: a client is asked for twice");
  }
  const both = dropped.find((id) => alive.includes(id));
  if (both !== undefined) {
    throw refusal(
      client,
      `give both shares of client ${both}: together they would take the masks off its vector`,
    );
  }
  if (dropped.includes(client)) throw refusal(client, "unmask: it is called lost, and isn't");
}

/** What a client says that doesn't do what it's asked to. */
export function refusal(client: number, what: string): ProtocolError {
  return new ProtocolError(`Client ${client} refuses to ${what}`);
}

function checkCount(
  { client, threshold }: Pick<Setup, "client" | "threshold">,
  what: string,
  got: number,
): void {
  if (got >= threshold) return;
  throw new TooFewClientsError(
    `Client ${client} refuses to ${what}: expected at least ${threshold} clients, itself counted, got ${got}`,
  );
}

function isAscending(ids: Uint32Array): boolean {
  return ids.every((id, place) => place === 0 || id > ids[place - 1]!);
}
