import { byId, element, fillFacts, fillTable } from "../common/element.ts";
import { Plot } from "../common/plot.ts";
import { bytes, count, loss, percent } from "../common/words.ts";
import type { DataInfo, Score } from "../trainer/calls.ts";
import type { InvitationInfo, PartEvent } from "../trainer/together_calls.ts";

/** What is known of a round. */
interface Round {
  readonly round: number;
  bytesDown?: number;
  bytesUp?: number;
  loss?: number;
  accuracy?: number;
  lost?: string;
}

/** Shows round by round what was received and sent, and how good the model is on what is held out here. */
export class RoundBook {
  #rounds = new Map<number, Round>();
  #numRounds = 1;
  #plot: Plot | undefined;
  /** How often the model is right after the last round. */
  #last: number | undefined;

  /** Begins anew. */
  begin({ rounds }: InvitationInfo, { majority, numTest }: DataInfo): void {
    this.#rounds = new Map();
    this.#numRounds = rounds;
    this.#plot = this.#last = undefined;
    byId("rounds").hidden = true;
    if (numTest > 0) {
      this.#plot = new Plot({
        title: "Right among the texts that you hold out",
        unit: "round",
        write: (value) => `${Number((100 * value).toPrecision(3))} %`,
        most: 1,
        reference: { value: majority, name: "always the commonest class:" },
      });
    }
    byId("plots").replaceChildren(...this.#plot === undefined ? [] : [this.#plot.figure]);
  }

  /** Takes note of what has happened. */
  take(event: PartEvent): void {
    if (!("round" in event)) return;
    const round = this.#rounds.get(event.round) ?? { round: event.round };
    this.#rounds.set(event.round, round);
    if (event.type === "round") round.bytesDown = event.bytesDown;
    else if (event.type === "sent") Object.assign(round, { bytesUp: event.bytesUp, loss: event.loss });
    else if (event.type === "score") round.accuracy = event.score.accuracy;
    else if (event.type === "lost") round.lost = event.reason;
    else return;
    this.#show();
  }

  /** Takes the score of the model that the federation came to. */
  end(score: Score | undefined): void {
    this.#last = score?.accuracy;
    if (this.#rounds.size > 0) this.#show();
  }

  #show(): void {
    const rounds = [...this.#rounds.values()];
    const total = (of: "bytesDown" | "bytesUp") => rounds.reduce((sum, each) => sum + (each[of] ?? 0), 0);
    byId("rounds").hidden = false;
    fillFacts(byId("traffic"), { "Sent": bytes(total("bytesUp")), "Received": bytes(total("bytesDown")) });
    // A round's score is that of the model that it began with.
    const points = rounds.flatMap(({ round, accuracy }) =>
      accuracy === undefined ? [] : [{ step: round - 1, value: accuracy }]
    );
    if (this.#last !== undefined) points.push({ step: rounds.at(-1)!.round, value: this.#last });
    this.#plot?.show([{ name: "The model of all", points }], this.#numRounds);
    fillTable(byId<HTMLTableElement>("round-table"), {
      caption: "What was received and sent in each round",
      columns: ["Round", "Received", "Sent", "Loss", "Right before"],
      rows: rounds.map((each) => [
        count(each.round),
        each.bytesDown === undefined ? "" : exact(each.bytesDown),
        each.bytesUp === undefined ? (each.lost === undefined ? "" : "nothing") : exact(each.bytesUp),
        each.loss === undefined ? "" : loss(each.loss),
        each.accuracy === undefined ? "" : percent(each.accuracy),
      ]),
      figures: [0, 1, 2, 3, 4],
    });
  }
}

/** A number of bytes to the last one. */
function exact(value: number): HTMLElement {
  return element("span", { title: bytes(value) }, `${count(value)} bytes`);
}
