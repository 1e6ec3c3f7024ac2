import { FederaError } from "../../engine/mod.ts";

/** NATS can't be reached or used; the message says which server, why, and what to do. */
export class NatsError extends FederaError {
  override name = "NatsError";
}

/** An object isn't in the store, is larger than it may be, or isn't what its hash says. */
export class NatsObjectError extends FederaError {
  override name = "NatsObjectError";
}

/**
 * Does what may fail on the server.
 *
 * @param action what is tried, such as "Cannot store an object".
 * @throws {NatsError} with the action, in place of an error of NATS's.
 */
export async function asNatsError<T>(action: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof FederaError || !(error instanceof Error)) throw error;
    throw new NatsError(`${action}: ${error.message}`, { cause: error });
  }
}
