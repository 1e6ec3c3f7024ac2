import type {
  AnswerPrediction,
  ClassPrediction,
  MultiLabelPrediction,
  TagPrediction,
} from "../../tasks/mod.ts";
import { printable } from "../../data/text/printable.ts";
import { cut } from "../../experiment/text/cut.ts";
import type { Prediction } from "./predict.ts";

/** Formats a text and its prediction on one line, or on several if the prediction has parts. */
export function describePrediction({ text, question, tokens, prediction }: Prediction): string {
  const asked = question === undefined
    ? shorten(text)
    : `${(prediction as AnswerPrediction).id}  ${shorten(question)}  |  ${shorten(text)}`;
  return [asked, ...describe(prediction, tokens).map((line) => `  ${line}`)].map(printable).join("\n");
}

function describe(prediction: unknown, tokens: readonly string[] | undefined): string[] {
  const found = prediction as Partial<
    & ClassPrediction
    & MultiLabelPrediction
    & { readonly value: number; readonly values: Readonly<Record<string, number>> }
    & TagPrediction
    & AnswerPrediction
  >;
  if (found.candidates !== undefined) {
    const best = found.candidates.find((each) => each.text === found.text);
    const share = best === undefined ? "" : `  ${percent(best.probability)}`;
    return [found.text === "" ? `no answer${share}` : `${found.text}${share}`];
  }
  if (found.tags !== undefined) return describeTags(found as TagPrediction, tokens);
  if (found.labels !== undefined) {
    const named = found.labels.map((label) => `${label}  ${percent(found.probabilities![label]!)}`);
    return named.length > 0 ? named : ["none"];
  }
  if (found.label !== undefined) return [`${found.label}  ${percent(found.probabilities![found.label]!)}`];
  if (found.values !== undefined) {
    return Object.entries(found.values).map(([name, value]) => `${name}  ${value}`);
  }
  return [String(found.value)];
}

function describeTags(
  { tags, entities, words, numUnseen = 0 }: TagPrediction,
  tokens: readonly string[] = words?.map(({ text }) => text) ?? tags.map((_, i) => `word ${i + 1}`),
): string[] {
  const unseen = numUnseen === 0
    ? []
    : [`${numUnseen} of ${tags.length} words weren't read: the text is longer than the model reads`];
  if (entities.length > 0) {
    return [
      ...entities.map((entity) =>
        `${entity.type}  ${"text" in entity ? entity.text : tokens.slice(entity.start, entity.end).join(" ")}`
      ),
      ...unseen,
    ];
  }
  if (tags.every((tag) => tag === "O")) return ["no entity", ...unseen];
  return [...tags.map((tag, i) => `${tokens[i]}  ${tag}`), ...unseen];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Cuts text that would fill more than a line or two. */
function shorten(text: string): string {
  return cut(text, 101);
}
