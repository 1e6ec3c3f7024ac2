import type { InvitationInfo } from "../trainer/together_calls.ts";

const NOISE = {
  none:
    "They aren't your texts, but they follow from them: somebody with means and a motive may guess some of what the texts say.",
  here:
    "Noise is put on them in this page before they are sent, which limits what anybody can guess from them.",
  host:
    "They aren't your texts, but they follow from them. The host puts noise on the sum of all: that limits what others can guess from the model, and not what the host can guess from yours.",
} as const;

/** What a participant gives away, in sentences: to the host, to others, and to nobody. */
export function revealsOf({ host, codec, noise, sharesModel }: InvitationInfo): string[] {
  const form = codec === "f32" ? "" : `, packed by ${codec}`;
  return [
    `Each round, ${host} gets the values that training on your texts has changed${form}. ` +
    NOISE[noise],
    "With them go the number of your texts, your mean training loss, the name above, and what your browser calls its graphics processor.",
    "Texts, classes of single texts, file names and the scores on what you hold out don't leave this page.",
    "The NATS server passes everything on and could read it; over ws:// so can the network between, over wss:// it can't.",
    sharesModel
      ? "The others get the model at the end, which has learned from the texts of all."
      : "The others learn nothing from you: the host keeps the model.",
  ];
}
