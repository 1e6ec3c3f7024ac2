/** What {@linkcode largestOf} compares. */
export interface Extents {
  /** Only those of one kind are compared. */
  readonly kind: string;
  readonly sizes: readonly number[];
}

/**
 * The items that may take the most memory: those of which no other of their kind is as large or larger in every size.
 *
 * @example
 * ```ts no-run
 * largestOf(batches, ({ rows, length }) => ({ kind: "", sizes: [rows, length] }));
 * ```
 */
export function largestOf<Item>(items: Iterable<Item>, extentsOf: (item: Item) => Extents): Item[] {
  let largest: { readonly item: Item; readonly extents: Extents }[] = [];
  const covers = (a: Extents, b: Extents) =>
    a.kind === b.kind && a.sizes.every((size, i) => size >= b.sizes[i]!);
  for (const item of items) {
    const extents = extentsOf(item);
    if (largest.some((each) => covers(each.extents, extents))) continue;
    largest = [...largest.filter((each) => !covers(extents, each.extents)), { item, extents }];
  }
  return largest.map(({ item }) => item);
}
