import {
  type AggregatorFactory,
  meanAggregator,
  meanOfEachAggregator,
  type Method,
} from "../../../../fl/mod.ts";

/**
 * Combines uploads where there are enough of them; otherwise the global model stays as it is, and the participants forget the round. The noise
 * of differential privacy covers an upload that is alone, and is accounted for however few come, so there all rounds count.
 */
export function atLeast(
  { minimum }: { readonly minimum: number },
  { method, aggregator }: { readonly method: Method; readonly aggregator: AggregatorFactory | undefined },
): AggregatorFactory {
  const inner = aggregator ?? (method.sees === "each" ? meanOfEachAggregator : meanAggregator);
  if (method.brings === "differentialPrivacy") return inner;
  return {
    ...inner,
    open(context) {
      const aggregation = inner.open(context);
      let count = 0;
      return {
        add(uploads) {
          count += uploads.clients.length;
          return aggregation.add(uploads);
        },
        finish: () =>
          count < minimum
            ? { refused: `${count} of at least ${minimum} uploads came` }
            : aggregation.finish(),
        dispose: () => aggregation.dispose(),
      };
    },
  };
}
