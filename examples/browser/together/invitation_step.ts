import { byId, fillFacts, fillList } from "../common/element.ts";
import { isCancelled, showProblem } from "../common/problem.ts";
import type { Remote } from "../common/remote.ts";
import { countOf, duration } from "../common/words.ts";
import type { Address, InvitationInfo, TogetherCalls } from "../trainer/together_calls.ts";
import { revealsOf } from "./reveals.ts";

/** Who is told of the invitation. */
export interface InvitationStepOptions {
  onInvitation(invitation: InvitationInfo | undefined): void;
}

/** The part of the page in which a person reads what a federation is about. */
export function invitationStep(
  trainer: Remote<TogetherCalls>,
  { onInvitation }: InvitationStepOptions,
): void {
  const form = byId<HTMLFormElement>("invitation-form");
  const [problem, reach, cancel] = [byId("invitation-problem"), byId("reach"), byId("read-cancel")];
  let controller: AbortController | undefined;
  const read = async () => {
    const { signal } = controller = new AbortController();
    showProblem(problem, undefined);
    byId("invitation").hidden = true;
    onInvitation(undefined);
    [cancel.hidden, byId<HTMLButtonElement>("read").disabled] = [false, true];
    reach.textContent = "Asking the host";
    try {
      const invitation = await trainer.call("readInvitation", addressOf(form), {
        signal,
        onEvent: ({ isReached }) =>
          reach.textContent = isReached ? "" : "The host doesn't answer yet; asking again for a minute",
      });
      fillFacts(byId("invitation-facts"), factsOf(invitation));
      fillList(byId("reveals"), revealsOf(invitation));
      byId("invitation").hidden = false;
      onInvitation(invitation);
    } catch (error) {
      if (!signal.aborted || !isCancelled(error)) showProblem(problem, error);
    } finally {
      reach.textContent = "";
      [cancel.hidden, byId<HTMLButtonElement>("read").disabled] = [true, false];
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void read();
  });
  cancel.addEventListener("click", () => controller?.abort());
  // A host may hand out a link that has them.
  for (const [name, value] of new URLSearchParams(location.search)) {
    const field = form.elements.namedItem(name);
    if (field instanceof HTMLInputElement && field.type !== "password") field.value = value;
  }
}

function addressOf(form: HTMLFormElement): Address {
  const values = new FormData(form);
  const text = (name: string) => String(values.get(name) ?? "").trim();
  const [user, password] = [text("user"), text("password")];
  return {
    server: text("server"),
    federation: text("federation"),
    name: text("name"),
    ...user !== "" && { user },
    ...password !== "" && { password },
  };
}

function factsOf(invitation: InvitationInfo): Record<string, string> {
  const { participants, clientsPerRound, rank } = invitation;
  const asked = clientsPerRound === participants ? "" : `, ${clientsPerRound} asked each round`;
  return {
    "Host": invitation.host,
    "Classes": invitation.labels.join(", "),
    "Model": invitation.model.source,
    "Method": `${invitation.method}${rank === undefined ? "" : `, rank ${rank}`}`,
    "Rounds": `${invitation.rounds}, of ${invitation.work} over your texts`,
    "Participants": `${participants}${asked}`,
    "Time for a round": duration(invitation.roundSeconds),
    "Texts are read up to": countOf(invitation.maxLength, "token"),
    "At the end": invitation.sharesModel ? "everybody gets the model" : "the host keeps the model",
  };
}
