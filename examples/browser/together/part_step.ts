import { byId } from "../common/element.ts";
import { showProblem } from "../common/problem.ts";
import type { Remote } from "../common/remote.ts";
import { countOf, percent } from "../common/words.ts";
import type { DataInfo, ModelInfo } from "../trainer/calls.ts";
import type { TrainedModel } from "../steps/result_step.ts";
import type { InvitationInfo, Part, PartEvent, TogetherCalls } from "../trainer/together_calls.ts";
import { RoundBook } from "./round_book.ts";

/** Who is told of the model at the end. */
export interface PartStepOptions {
  onModel(model: TrainedModel): void;
}

/** The part of the page in which a person takes part. */
export interface PartStep {
  setInvitation(invitation: InvitationInfo | undefined): void;
  setModel(model: ModelInfo | undefined): void;
  setData(data: DataInfo | undefined): void;
}

/** Sets up joining, leaving, and what is shown of the rounds. */
export function partStep(trainer: Remote<TogetherCalls>, { onModel }: PartStepOptions): PartStep {
  const [join, leave] = [byId<HTMLButtonElement>("join"), byId<HTMLButtonElement>("leave")];
  const book = new RoundBook();
  const have: {
    invitation?: InvitationInfo | undefined;
    model?: ModelInfo | undefined;
    data?: DataInfo | undefined;
  } = {};
  let controller: AbortController | undefined;

  const ready = () => {
    const { invitation, model, data } = have;
    byId("part").hidden = invitation === undefined || model === undefined || data === undefined;
    if (invitation === undefined || data === undefined) return;
    byId("agreement").textContent = `You are about to train with ${invitation.host} in ${
      countOf(invitation.rounds, "round")
    } on ${
      countOf(data.numTrain, "text")
    } of yours, which stay here. Keep this tab open; if you close it, the others go on, and you can come back under the same name.`;
  };
  const takePart = async () => {
    controller = new AbortController();
    showProblem(byId("part-problem"), undefined);
    setBusy(true);
    book.begin(have.invitation!, have.data!);
    try {
      const part = await trainer.call("takePart", undefined, {
        signal: controller.signal,
        onEvent(event) {
          book.take(event);
          show(event, have.invitation!);
        },
      });
      book.end(part.score);
      say(ending(part));
      showProblem(byId("part-problem"), part.problem);
      if (part.run !== undefined) {
        onModel({ run: part.run, words: `With the model of federation ${have.invitation!.federation}.` });
      }
    } catch (error) {
      say(
        "You no longer take part; the federation goes on without you. You can join again under the same name.",
      );
      showProblem(byId("part-problem"), error);
    } finally {
      controller = undefined;
      setBusy(false);
      join.focus();
    }
  };
  const setBusy = (isBusy: boolean) => {
    [leave.hidden, join.disabled, byId("progress").hidden] = [!isBusy, isBusy, !isBusy];
    for (const id of ["federation", "model", "data"]) byId(id).inert = isBusy;
  };

  join.addEventListener("click", () => void takePart());
  leave.addEventListener("click", () => controller?.abort());
  // A tab that is closed says so, if there is time; else the host notices its silence.
  globalThis.addEventListener("pagehide", () => controller?.abort());
  globalThis.addEventListener("beforeunload", (event) => {
    if (controller !== undefined) event.preventDefault();
  });
  const set = (what: Partial<typeof have>) => {
    Object.assign(have, what);
    ready();
  };
  return {
    setInvitation: (invitation) => set({ invitation }),
    setModel: (model) => set({ model }),
    setData: (data) => set({ data }),
  };
}

function show(event: PartEvent, { rounds }: InvitationInfo): void {
  const [label, bar] = [byId("steps-label"), byId<HTMLProgressElement>("steps")];
  switch (event.type) {
    case "joined":
      return say(event.isBack ? "You are back in the federation" : "You have joined");
    case "reach":
      return say(event.isReached ? "The host answers again" : "The host doesn't answer; waiting for it");
    case "waiting":
      bar.removeAttribute("value");
      label.textContent = `Waiting for ${event.reason}`;
      return;
    case "round":
      bar.removeAttribute("value");
      label.textContent = `Round ${event.round} of ${rounds}`;
      return;
    case "progress":
      Object.assign(bar, { max: event.total, value: event.done });
      label.textContent = `Round ${event.round} of ${rounds}: step ${event.done} of ${event.total}`;
      return;
    case "sent":
      return say(`Round ${event.round} of ${rounds} is sent`);
    case "lost":
      return say(`Round ${event.round} went on without you: ${event.reason}`);
  }
}

function ending({ ended, reason, score }: Part): string {
  const how = {
    finished: "The federation has finished",
    over: "The federation has ended",
    left: "You have left",
  }[ended];
  const right = score === undefined
    ? ""
    : ` Its model is right for ${percent(score.accuracy)} of the texts that you hold out.`;
  return ended === "left"
    ? "You have left; the federation goes on without you."
    : `${how}: ${reason}.${right}`;
}

/** Shows what has happened, and has a screen reader say it. */
function say(message: string): void {
  byId("part-status").textContent = message;
}
