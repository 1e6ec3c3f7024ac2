/** Where a participant keeps what it needs to go on after its process or page has ended. */
export interface ParticipantStore {
  /** What was saved last under a key; undefined where nothing was. */
  load(key: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Saves, whole or not at all. */
  save(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

/** A store that ends with the process: a participant that comes back without it can't go on. */
export function memoryStore(): ParticipantStore {
  const saved = new Map<string, Uint8Array<ArrayBuffer>>();
  return {
    load: (key) => Promise.resolve(saved.get(key)),
    save: (key, bytes) => Promise.resolve(void saved.set(key, bytes)),
  };
}
