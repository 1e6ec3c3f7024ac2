import type { Client } from "../method.ts";
import type { Tensors } from "../tensors.ts";

/** What clients sent, and the client whose names count. */
export interface CheckNamesOptions {
  readonly values: Tensors;
  readonly clients: readonly Client[];
  readonly first: Client;
}

/**
 * Makes sure that clients sent the names that the first one did: one that some haven't sent would be combined of the others by the
 * weights of all.
 *
 * @throws {TypeError} naming what is missing or too much.
 */
export function checkNames(
  known: ReadonlyMap<string, unknown>,
  { values, clients, first }: CheckNamesOptions,
): void {
  const missing = [...known.keys()].find((name) => !values.has(name));
  const extra = [...values.keys()].find((name) => !known.has(name));
  if (missing === undefined && extra === undefined) return;
  throw new TypeError(
    `Cannot average what client ${clients[0]?.id} sent: ` +
      (missing === undefined ? `it has ${extra}` : `it lacks ${missing}`) +
      `, unlike what client ${first.id} sent`,
  );
}
