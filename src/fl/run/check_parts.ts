import type { AggregatorFactory } from "../aggregation/aggregator.ts";
import { meanAggregator, meanOfEachAggregator } from "../aggregation/mean.ts";
import type { Asynchrony } from "../asynchrony/options.ts";
import type { FederationOptions } from "./options.ts";
import { checkLegality, companionsOf } from "../legality.ts";
import type { Measure } from "../measures/measure.ts";

type Parts = Pick<FederationOptions, "method" | "aggregator" | "stages" | "asynchrony">;

/**
 * Makes sure that the parts of a run go together.
 *
 * @returns the aggregator: by default the mean, of each upload where the method sees them.
 * @throws {TypeError} naming what doesn't.
 */
export function checkParts(parts: Parts): AggregatorFactory {
  checkLegality(parts.method, companionsOf(parts));
  const aggregator = chooseAggregator(parts);
  if (parts.asynchrony !== undefined) checkAsynchrony(parts, parts.asynchrony);
  return aggregator;
}

/** @throws {TypeError} when what must see each client's upload doesn't get it. */
function chooseAggregator({ method, aggregator, stages = [] }: Parts): AggregatorFactory {
  const { sees = "sum" } = method;
  const chosen = aggregator ?? (sees === "each" ? meanOfEachAggregator : meanAggregator);
  if (sees === "each" && chosen.sees === "sum") {
    throw new TypeError(
      `Cannot run ${method.name} with aggregator ${chosen.name}: the method combines the uploads of each client, ` +
        "the aggregator gives sums alone",
    );
  }
  const hiding = hidingOf({ method, stages });
  if (hiding !== undefined && chosen.sees === "each" && sees === "sum") {
    throw new TypeError(
      `Cannot run ${chosen.name} with ${hiding.name}: it looks at the upload of each client, and ${hiding.name} lets ` +
        "the server see sums alone; leave one of them out",
    );
  }
  return chosen;
}

/** @throws {TypeError} for what an asynchronous server has no use for. */
function checkAsynchrony(
  { method, aggregator, stages = [] }: Parts,
  { kind }: Asynchrony,
): void {
  const serving = stages.find(({ server }) => server !== undefined);
  const other = aggregator?.name ?? serving?.name;
  if (other === undefined) return;
  throw new TypeError(
    `Cannot run ${method.name} with ${kind} and ${other}: ${kind} itself combines what arrives, of several models; leave one of them out`,
  );
}

/**
 * Makes sure that measures find what they look at.
 *
 * @throws {TypeError} when one must see each client's upload, and something hides them or they aren't of one round.
 */
export function checkMeasures(
  measures: readonly Measure[],
  options: Pick<Parts, "method" | "stages" | "asynchrony"> & { readonly aggregator: AggregatorFactory },
): void {
  const hiding = hidingOf(options) ??
    (options.aggregator.brings === "secureAggregation" ? options.aggregator : undefined);
  const seeing = measures.find(({ seesEach }) => seesEach);
  if (options.asynchrony !== undefined && seeing !== undefined) {
    throw new TypeError(
      `Cannot measure ${seeing.name} with asynchrony: it compares uploads of one round, and these are of several models; leave the measure out`,
    );
  }
  if (hiding === undefined || seeing === undefined) return;
  throw new TypeError(
    `Cannot measure ${seeing.name} with ${hiding.name}: it looks at the upload of each client, and ` +
      `${hiding.name} lets the server see sums alone; leave the measure out`,
  );
}

/** What lets nothing look at a single client's upload, if anything does. */
function hidingOf(
  { method, stages = [] }: Pick<Parts, "method" | "stages">,
): { readonly name: string } | undefined {
  return method.brings === "differentialPrivacy" ? method : stages.find(({ hidesClients }) => hidesClients);
}
