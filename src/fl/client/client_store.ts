import type { HostTensors } from "../tensors.ts";

/**
 * What clients keep between rounds: control variates, error feedback, personal factors and heads. A store never changes:
 * saving gives another one, so that a round that fails half-way leaves nothing behind.
 */
export interface ClientStore {
  /** Numbers of the clients that have something, ascending. */
  readonly clients: readonly number[];
  /** The files of a store outside of memory, client by client; a saved state refers to them instead of holding what is in them. */
  readonly files?: readonly StoredClient[];
  /** What a client has; undefined where it has nothing yet. */
  load(client: number): Promise<HostTensors | undefined>;
  /** A store in which some clients have something new. */
  save(kept: ReadonlyMap<number, HostTensors>): Promise<ClientStore>;
}

/** What a client keeps, in a file. */
export interface StoredClient {
  readonly client: number;
  /** Its name in the folder of the store. */
  readonly file: string;
  /** SHA-256 of the file. */
  readonly sha256: string;
}

/** A store on the host. */
export function hostStore(kept: ReadonlyMap<number, HostTensors> = new Map()): ClientStore {
  return {
    clients: [...kept.keys()].sort((a, b) => a - b),
    load: (client) => Promise.resolve(kept.get(client)),
    save: (changed) =>
      Promise.resolve(changed.size === 0 ? hostStore(kept) : hostStore(new Map([...kept, ...changed]))),
  };
}

/** A store in which some clients have more beside what they had, or other values of it. */
export async function saveMore(
  store: ClientStore,
  more: readonly (readonly [client: number, kept: HostTensors])[],
): Promise<ClientStore> {
  const entries = more.map(async ([id, kept]) =>
    [id, new Map([...await store.load(id) ?? [], ...kept])] as const
  );
  return await store.save(new Map(await Promise.all(entries)));
}
