import type { TaskModel } from "../../tasks/mod.ts";
import { type Config, methodLabel } from "../config/config.ts";
import { createMethod } from "../config/method_config.ts";
import { ConfigError } from "../config/parse_config.ts";

/**
 * Checks that a model can be trained by every method of a configuration.
 *
 * @throws {ConfigError} naming every method that doesn't fit the model.
 */
export function checkMethods(
  { methods: chosen, optimizer }: Pick<Config, "methods" | "optimizer">,
  pretrained: TaskModel,
): void {
  const problems = chosen.flatMap((method) => {
    try {
      const created = createMethod(method);
      created.check(pretrained);
      created.checkTraining?.({ optimizer });
      return [];
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return [`method "${methodLabel(method)}": ${error.message}`];
    }
  });
  if (problems.length === 1) throw new ConfigError(`Cannot run ${problems[0]}`);
  if (problems.length > 1) throw new ConfigError(`Cannot run the methods:\n  ${problems.join("\n  ")}`);
}
