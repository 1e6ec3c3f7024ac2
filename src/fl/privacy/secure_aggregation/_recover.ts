import { combine } from "shamir-secret-sharing";
import { ProtocolError } from "./errors.ts";
import type { Bytes } from "./messages.ts";

/** A client's secret, as others have it in shares. */
export interface SharedSecret {
  readonly client: number;
  readonly what: "seed" | "mask key";
  /** By the clients that gave them back, ascending. */
  readonly shares: ReadonlyMap<number, Bytes>;
  /** Shares that give it back. */
  readonly threshold: number;
}

/**
 * Puts a secret together from its shares, and checks that it's the one that was shared.
 *
 * @param use what the secret is good for; undefined for a wrong one.
 * @throws {ProtocolError} when the shares don't give it back.
 */
export async function recover<T>(
  { client, what, shares, threshold }: SharedSecret,
  use: (secret: Bytes) => Promise<T | undefined>,
): Promise<T> {
  const forged = (cause?: unknown) =>
    new ProtocolError(
      `Cannot take the masks off the sum: shares of the ${what} of client ${client} don't give it back, so ` +
        `one of clients ${[...shares.keys()].join(", ")} or ${client} sent a wrong one`,
      { cause },
    );
  const secret = await combine([...shares.values()].slice(0, threshold)).catch((cause) => {
    throw forged(cause);
  });
  const used = await use(new Uint8Array(secret));
  if (used === undefined) throw forged();
  return used;
}
