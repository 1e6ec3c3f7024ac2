import type { EncoderFamily, WeightSource } from "../../models/mod.ts";
import { findPart, type HeadPart } from "./head_parts.ts";

/** Tensors that {@linkcode withHeadParts} takes from elsewhere. */
export type HeadWeights = Pick<WeightSource, "entries" | "read">;

/**
 * A checkpoint in which parts of a head from elsewhere replace its own. They have the names that the checkpoint would give
 * them, with or without the family's prefix.
 */
export function withHeadParts(
  base: WeightSource,
  parts: readonly HeadPart[],
  { head, family }: { readonly head: HeadWeights; readonly family: Pick<EncoderFamily, "prefix"> },
): WeightSource {
  const { prefix } = family;
  const isBare = ![...base.entries.keys()].some((name) => name.startsWith(prefix));
  const taken = new Map<string, string>();
  const entries = new Map(base.entries);
  for (const part of parts) {
    const theirs = findPart(part, head.entries, family);
    if (theirs === undefined) continue;
    const own = findPart(part, base.entries, family) ??
      (isBare && part.theirs.startsWith(prefix) ? part.theirs.slice(prefix.length) : part.theirs);
    taken.set(own, theirs);
    entries.set(own, head.entries.get(theirs)!);
  }
  return {
    entries,
    read: (name) => taken.has(name) ? head.read(taken.get(name)!) : base.read(name),
    close: () => base.close(),
  };
}
