import type { Config } from "../../../../experiment/config/config.ts";
import { createMethod } from "../../../../experiment/config/method_config.ts";
import { ConfigError } from "../../../../experiment/config/parse_config.ts";
import type { RunMethodOptions } from "../../../../experiment/run/run_method.ts";
import type { Coordinator } from "./coordinator.ts";
import { describeJob } from "./describe_job_node.ts";
import type { Job, ObjectReference } from "../messages.ts";
import { WorkerParticipants } from "./worker_participants.ts";

/**
 * Checks that a configuration's clients may train on other machines.
 *
 * @throws {ConfigError} for hostile clients, who act together and so train in one process.
 */
export function checkWorkers({ attackers }: Pick<Config, "attackers">): void {
  if (attackers === undefined) return;
  throw new ConfigError(
    "Cannot run attackers on workers: hostile clients look at each other's updates, so they train in one process; " +
      "leave out attackers, or --workers",
  );
}

/** Has a run's clients train on the workers of a queue. */
export function trainersOn(coordinator: Coordinator): NonNullable<RunMethodOptions["trainers"]> {
  return (experiment, config) => {
    const method = createMethod(config);
    let known: { readonly reference: ObjectReference; readonly job: Job } | undefined;
    return (own) =>
      new WorkerParticipants({
        coordinator,
        own,
        async describe({ model, state }) {
          // What is there grows old in long runs.
          if (known === undefined || !await areThere(coordinator, known)) {
            const start = { experiment, config, method, model, state };
            known = await coordinator.persist(() => describeJob(coordinator.objects, start));
          }
          return known.reference;
        },
      });
  };
}

async function areThere(
  coordinator: Coordinator,
  { reference, job: { base, data } }: { readonly reference: ObjectReference; readonly job: Job },
): Promise<boolean> {
  const needed = [reference, data, ...base.kind === "checkpoint" ? base.files : [base.parameters]];
  const sizes = await coordinator.persist(() =>
    Promise.all(needed.map(({ sha256 }) => coordinator.objects.sizeOf(sha256)))
  );
  return sizes.every((size) => size !== undefined);
}
