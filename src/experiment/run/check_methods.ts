import type { TaskModel } from "../../tasks/mod.ts";
import {
  checkLegality,
  checkPositions,
  companionsOf,
  createCodec,
  secureAggregator,
  sizesOf,
} from "../../fl/mod.ts";
import { createAggregator } from "../config/aggregator_config.ts";
import { chooseAsynchrony } from "../config/asynchrony_config.ts";
import { chooseSecureAggregation } from "../config/secure_aggregation_config.ts";
import { type Config, methodLabel } from "../config/config.ts";
import { createMethod } from "../config/method_config.ts";
import { ConfigError } from "../config/parse_config.ts";

/**
 * Checks that a model can be trained by every method of a configuration, with all that is chosen beside it.
 *
 * @throws {ConfigError} naming every method that doesn't fit the model or what stands beside it.
 */
export function checkMethods(
  config: Pick<
    Config,
    | "methods"
    | "optimizer"
    | "codec"
    | "aggregator"
    | "secureAggregation"
    | "asynchrony"
    | "clientsPerRound"
    | "partition"
    | "maxLength"
  >,
  pretrained: TaskModel,
): void {
  const { methods: chosen, optimizer, codec, clientsPerRound, partition } = config;
  const numClients = "numClients" in partition ? partition.numClients : undefined;
  const isPartial = clientsPerRound !== undefined && numClients !== undefined && clientsPerRound < numClients;
  const cohort = clientsPerRound ?? numClients;
  const problems = chosen.flatMap((method) => {
    try {
      const created = createMethod(method);
      created.check(pretrained);
      created.checkTraining?.({ optimizer });
      checkPositions(created, { encoder: pretrained.encoder, length: config.maxLength });
      const aggregator = createAggregator(method.aggregator ?? config.aggregator);
      const secureAggregation = chooseSecureAggregation(method.secureAggregation, config.secureAggregation);
      const asynchrony = chooseAsynchrony(method.asynchrony, config.asynchrony);
      const sizes = asynchrony && numClients !== undefined
        ? sizesOf(asynchrony, { numClients, clientsPerRound })
        : undefined;
      const parts = {
        method: created,
        aggregator,
        secureAggregation,
        asynchrony,
        codec: createCodec(codec),
        isPartial: sizes === undefined ? isPartial : sizes.bufferSize < numClients!,
      };
      checkLegality(created, companionsOf(parts));
      if (cohort !== undefined && !created.isCentral) {
        aggregator?.check?.(cohort);
        if (secureAggregation !== undefined) secureAggregator(secureAggregation).check!(cohort);
      }
      return [];
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return [`method "${methodLabel(method)}": ${error.message}`];
    }
  });
  if (problems.length === 1) throw new ConfigError(`Cannot run ${problems[0]}`);
  if (problems.length > 1) throw new ConfigError(`Cannot run the methods:\n  ${problems.join("\n  ")}`);
}
