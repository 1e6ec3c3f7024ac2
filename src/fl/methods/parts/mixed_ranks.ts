import { z } from "zod";
import type { Ranks } from "../../method.ts";
import { type AdapterOptions, adapterOptions } from "./adapter_options.ts";

/** Options of methods whose clients may have different ranks. */
export const mixedRankOptions = adapterOptions.extend({
  /** Ranks of clients, dealt out in turn: client k has the one at k modulo their number. By default all have `rank`. */
  ranks: z.array(z.int().min(1).max(2 ** 16)).min(1).optional(),
});

/** Checked options of methods whose clients may have different ranks. */
export type MixedRankOptions = z.output<typeof mixedRankOptions>;

/** The ranks of clients and what the server needs to know of them. */
export interface MixedRanks extends Ranks {
  /** The largest: that of the global factors. */
  readonly largest: number;
}

/** The ranks that options say, each with the scale alpha / r of its own. */
export function mixedRanks({ rank, ranks = [rank], alpha }: MixedRankOptions): MixedRanks {
  const of = (client: number) => ranks[client % ranks.length]!;
  return { of, scaling: (client) => alpha / of(client), largest: Math.max(...ranks) };
}

/** Options of the global adapters, which have the largest rank. */
export function globalOptions(options: MixedRankOptions): AdapterOptions {
  return { ...options, rank: mixedRanks(options).largest };
}
