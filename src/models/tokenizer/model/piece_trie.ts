/** Slots of the table are doubled when more than half of them are taken. */
const INITIAL_SLOTS = 1 << 12;
const EMPTY = -1;
const CODES = 0x11_0000;

/**
 * Pieces of a vocabulary by their characters, for finding all those that begin at a place. Children are kept in one
 * hash table of typed arrays, as a vocabulary of 250,000 pieces has a million nodes.
 */
export class PieceTrie {
  /** Where every piece begins. */
  static readonly ROOT = 0;
  #keys = new Float64Array(INITIAL_SLOTS).fill(EMPTY);
  #children = new Int32Array(INITIAL_SLOTS);
  readonly #ids: number[] = [EMPTY];

  /** Puts a piece in; of two equal ones the later counts. */
  add(piece: string, id: number): void {
    let node = PieceTrie.ROOT;
    for (const char of piece) node = this.#childOrNew(node, char.codePointAt(0)!);
    this.#ids[node] = id;
  }

  /** The node that a character leads to; undefined if no piece goes on with it. */
  child(node: number, char: string): number | undefined {
    const slot = this.#slotOf(node * CODES + char.codePointAt(0)!);
    return this.#keys[slot] === EMPTY ? undefined : this.#children[slot]!;
  }

  /** The id of the piece that ends at a node; undefined if none does. */
  idAt(node: number): number | undefined {
    const id = this.#ids[node]!;
    return id === EMPTY ? undefined : id;
  }

  #childOrNew(node: number, code: number): number {
    const key = node * CODES + code;
    const slot = this.#slotOf(key);
    if (this.#keys[slot] === key) return this.#children[slot]!;
    const child = this.#ids.push(EMPTY) - 1;
    this.#keys[slot] = key;
    this.#children[slot] = child;
    if (this.#ids.length * 2 > this.#keys.length) this.#grow();
    return child;
  }

  /** The slot that has the key, or the free one where it would go. */
  #slotOf(key: number): number {
    const last = this.#keys.length - 1;
    let slot = (Math.imul(key % 0x7fff_ffff, 0x9e37_79b1) >>> 7) & last;
    while (this.#keys[slot] !== key && this.#keys[slot] !== EMPTY) slot = slot + 1 & last;
    return slot;
  }

  #grow(): void {
    const keys = this.#keys;
    const children = this.#children;
    this.#keys = new Float64Array(2 * keys.length).fill(EMPTY);
    this.#children = new Int32Array(2 * keys.length);
    for (const [i, key] of keys.entries()) {
      if (key === EMPTY) continue;
      const slot = this.#slotOf(key);
      this.#keys[slot] = key;
      this.#children[slot] = children[i]!;
    }
  }
}
