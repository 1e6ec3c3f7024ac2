import { createMethod } from "../../../../experiment/config/method_config.ts";
import { checkPositions } from "../../../../fl/mod.ts";
import type { TaskModel } from "../../../../tasks/mod.ts";
import { FederationError } from "../errors.ts";
import type { JoinOptions } from "./join_options.ts";

/**
 * Checks what can be known before anybody joins.
 *
 * @throws {FederationError} when the invitation asks for more than the limits, or would hide nothing.
 * @throws {TypeError} or {RangeError} when model, data and method don't fit each other.
 */
export function checkInvitation(
  pretrained: TaskModel,
  { invitation, train, test, limits = {} }: JoinOptions,
): void {
  const { method: config, labels, task: { kind }, optimizer, local, batchSize, federation } = invitation;
  const { task, encoder } = pretrained;
  const action = `Cannot join federation ${federation}`;
  if (task.kind !== kind || task.labels.join("\n") !== labels.join("\n")) {
    throw new TypeError(
      `${action} with a model for ${task.kind} of ${task.labels.join(", ")}: expected ${kind} of ${
        labels.join(", ")
      }`,
    );
  }
  if (train.numExamples === 0) throw new RangeError(`${action} without examples`);
  const method = createMethod(config);
  method.check(pretrained);
  method.checkTraining?.({ optimizer });
  for (const set of [train, test]) {
    if (set === undefined) continue;
    encoder.checkInputs(set.inputs);
    checkPositions(method, { encoder, length: set.length });
  }
  const { privacy } = config;
  if (privacy?.kind === "local-dp" && privacy["noise"] !== "secret") {
    throw new FederationError(
      `${action}: its noise follows from a seed that the host knows, and hides nothing from it; expected noise "secret"`,
    );
  }
  const { steps: limit = 100_000 } = limits;
  const steps = local.steps ?? local.epochs! * Math.ceil(train.size / batchSize);
  if (steps > limit) {
    throw new FederationError(`${action}: it asks for ${steps} steps a round, and ${limit} are allowed`);
  }
}
