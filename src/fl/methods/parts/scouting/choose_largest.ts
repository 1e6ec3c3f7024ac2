/** The scores of what a layer has, in its order. */
export interface LayerScores {
  readonly layer: string;
  readonly scores: Float32Array;
}

/**
 * Places by layer, ascending: the best of each layer, and of all others those of the largest scores, the first ones where scores are equal;
 * `count` of them altogether, at least one a layer.
 */
export function chooseLargest(layers: readonly LayerScores[], count: number): Map<string, number[]> {
  const all = layers.flatMap(({ scores }, layer) =>
    [...scores].map((score, place) => ({ layer, place, score }))
  );
  const ranked = all.toSorted((one, other) =>
    other.score - one.score || one.layer - other.layer || one.place - other.place
  );
  const best = new Set(layers.map((_, layer) => ranked.find((each) => each.layer === layer)!));
  const others = ranked.filter((each) => !best.has(each)).slice(0, Math.max(0, count - layers.length));
  const chosen = new Set([...best, ...others]);
  return new Map(
    layers.map(({ layer }, i) => [
      layer,
      all.filter((each) => each.layer === i && chosen.has(each)).map(({ place }) => place),
    ]),
  );
}
