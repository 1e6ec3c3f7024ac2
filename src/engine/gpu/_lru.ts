/** A map that holds at most `capacity` entries and forgets the least recently used first. */
export class LruMap<K, V> {
  readonly #entries = new Map<K, V>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The value of `key`, made by `create` where it is absent. */
  getOrCreate(key: K, create: () => V): V {
    let value = this.#entries.get(key);
    if (value !== undefined) {
      this.#entries.delete(key);
    } else {
      value = create();
      if (this.#entries.size >= this.#capacity) this.#entries.delete(this.#entries.keys().next().value!);
    }
    this.#entries.set(key, value);
    return value;
  }

  /** Entries held. */
  get size(): number {
    return this.#entries.size;
  }
}
