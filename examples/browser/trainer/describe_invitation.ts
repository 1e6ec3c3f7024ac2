import type { Invitation } from "federa/network";
import type { InvitationInfo } from "./together_calls.ts";

/**
 * What a person decides by.
 *
 * @throws {RangeError} when the federation learns something else than the class of a text.
 */
export function describeInvitation(invitation: Invitation): InvitationInfo {
  const { task, method, local, participants, clientsPerRound = participants } = invitation;
  if (task.kind !== "sequence-classification") {
    throw new RangeError(
      `Cannot take part in federation ${invitation.federation} from a page: it is about ${task.kind}, and pages sort texts into classes; use federa join`,
    );
  }
  const { method: name, rank, privacy } = method;
  return {
    federation: invitation.federation,
    host: invitation.host,
    labels: invitation.labels,
    model: invitation.model,
    maxLength: invitation.maxLength,
    method: name,
    rank: typeof rank === "number" ? rank : undefined,
    noise: privacy === undefined || privacy.kind === "none"
      ? "none"
      : privacy.kind === "local-dp"
      ? "here"
      : "host",
    codec: String(invitation.codec.name),
    rounds: invitation.rounds,
    participants,
    clientsPerRound,
    work: local.steps === undefined
      ? plural(local.epochs!, "pass", "passes")
      : plural(local.steps, "step", "steps"),
    batchSize: invitation.batchSize,
    roundSeconds: invitation.roundSeconds,
    sharesModel: invitation.sharesModel,
  };
}

function plural(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
