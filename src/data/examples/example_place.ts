/** Places by example: beside the examples, which stay plain data. */
const places = new WeakMap<object, () => string>();

/** Notes where an example was read, for messages about it; the place is made when it is asked for. */
export function notePlace(example: object, place: () => string): void {
  places.set(example, place);
}

/**
 * Where an example was read, such as `line 3 of train.jsonl`, however the examples were drawn or split since; `example 1` and
 * so on, by its index, where it wasn't read from a file.
 *
 * @param index from 0, among the examples at hand.
 *
 * @example
 * ```ts
 * placeOf({ text: "a", label: "b" }, 0); // "example 1"
 * ```
 */
export function placeOf(example: object, index: number): string {
  return places.get(example)?.() ?? `example ${index + 1}`;
}
