import { matchLinears } from "../../federa/mod.ts";
import { methods } from "../../fl/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import { type Config, methodLabel } from "../config/config.ts";
import { ConfigError } from "../config/parse_config.ts";

/**
 * Checks that a model can be trained by every method of a configuration.
 *
 * @throws {ConfigError} naming every method that doesn't fit the model.
 */
export function checkMethods(
  { methods: chosen, seed }: Pick<Config, "methods" | "seed">,
  pretrained: TaskModel,
): void {
  const problems = chosen.flatMap((method) => {
    const { rank, alpha, svd, targets = pretrained.encoder.adapterTargets } = method;
    try {
      matchLinears(pretrained, targets);
      methods.get(method.method)!.check(pretrained, { targets, rank, alpha, svd, seed });
      return [];
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return [`method "${methodLabel(method)}": ${error.message}`];
    }
  });
  if (problems.length === 1) throw new ConfigError(`Cannot run ${problems[0]}`);
  if (problems.length > 1) throw new ConfigError(`Cannot run the methods:\n  ${problems.join("\n  ")}`);
}
