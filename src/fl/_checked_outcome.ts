import { disposeAll } from "../engine/mod.ts";
import { type Finished, tensorsOfOutcome } from "./participants.ts";

/**
 * An outcome, made sure that all of it is of as many clients.
 *
 * @throws {TypeError} naming what isn't, or isn't finite; the outcome is freed then.
 */
export function checkedOutcome(outcome: Finished): Finished {
  const { clients, values, keep, losses, bytesUp, bytesDown } = outcome;
  const counts = [
    ...[...values, ...keep].map(([name, { shape }]) => [name, shape[0] ?? 0] as const),
    ...Object.entries({ losses, bytesUp, bytesDown }).map(([name, each]) => [name, each.length] as const),
  ];
  const wrong = counts.find(([, count]) => count !== clients.length);
  const lossless = losses.findIndex((loss) => !Number.isFinite(loss));
  if (wrong === undefined && lossless < 0) return outcome;
  disposeAll(tensorsOfOutcome(outcome));
  const ids = clients.map(({ id }) => id).join(", ");
  throw new TypeError(
    wrong === undefined
      ? `Cannot take the training loss of client ${clients[lossless]!.id}: expected a finite number, got ${
        losses[lossless]
      }`
      : `Cannot take what clients ${ids} sent: expected ${wrong[0]} of ${clients.length} clients, got ${
        wrong[1]
      }`,
  );
}
