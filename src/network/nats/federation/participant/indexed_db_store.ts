import type { ParticipantStore } from "./participant_store.ts";

const TABLE = "participant";

/**
 * A participant's store in a page (browsers only), under a name of its origin; others of the same origin can read it.
 *
 * @example
 * ```ts no-run
 * const store = indexedDbStore(`federa-${invitation.federation}-${name}`);
 * ```
 */
export function indexedDbStore(name: string): ParticipantStore {
  let opened: Promise<IDBDatabase> | undefined;
  const open = () =>
    opened ??= new Promise((resolve, reject) => {
      const request = globalThis.indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(TABLE);
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const transact = async <T>(
    mode: IDBTransactionMode,
    use: (table: IDBObjectStore) => IDBRequest<T>,
  ): Promise<T> => {
    const transaction = (await open()).transaction(TABLE, mode, { durability: "strict" });
    return await new Promise((resolve, reject) => {
      const request = use(transaction.objectStore(TABLE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error ?? request.error);
    });
  };
  return {
    load: (key) => transact<Uint8Array<ArrayBuffer> | undefined>("readonly", (table) => table.get(key)),
    save: async (key, bytes) => void await transact("readwrite", (table) => table.put(bytes, key)),
  };
}
