import { z } from "zod";
import { layerSettings, scalingOf } from "../../../../federa/mod.ts";
import type { Ranks } from "../../../method.ts";
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
  /** The scale of that rank: that of the global adapters. */
  readonly globalScaling: number;
}

/**
 * The ranks that options say, each with the scale of its own; of one layer where clients have one rank, as layers may differ then.
 *
 * @throws {RangeError} when both clients and layers should have ranks or alphas of their own.
 */
export function mixedRanks(options: MixedRankOptions, layer?: string): MixedRanks {
  const { ranks: given, rankPattern, alphaPattern } = options;
  if (given !== undefined && (rankPattern ?? alphaPattern) !== undefined) {
    throw new RangeError(
      `Cannot use ranks beside ${
        rankPattern === undefined ? "alphaPattern" : "rankPattern"
      }: a client has one rank and scale in all layers; leave one of them out`,
    );
  }
  const { rank, alpha } = layer === undefined ? options : layerSettings(layer, options);
  const ranks = given ?? [rank];
  const of = (client: number) => ranks[client % ranks.length]!;
  const scaling = (own: number) => scalingOf({ ...options, alpha, rank: own });
  const largest = Math.max(...ranks);
  return { of, scaling: (client) => scaling(of(client)), largest, globalScaling: scaling(largest) };
}

/** Options of the global adapters, which have the largest rank. */
export function globalOptions(options: MixedRankOptions): AdapterOptions {
  return { ...options, rank: mixedRanks(options).largest };
}
