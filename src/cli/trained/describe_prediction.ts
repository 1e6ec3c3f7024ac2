import type {
  AnswerPrediction,
  ClassPrediction,
  MultiLabelPrediction,
  TagPrediction,
} from "../../tasks/mod.ts";
import { printable } from "../../data/printable.ts";
import type { Prediction } from "./predict.ts";

/** A text and its answer in one line, or a line each where the answer has parts. */
export function describePrediction({ text, prediction }: Prediction): string {
  return [shorten(text), ...describe(prediction, text).map((line) => `  ${line}`)].map(printable).join("\n");
}

function describe(prediction: unknown, text: string): string[] {
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
  if (found.tags !== undefined) return describeTags(found.tags, found.entities ?? [], text);
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
  tags: readonly string[],
  entities: TagPrediction["entities"],
  text: string,
): string[] {
  const words = text.split(/\s+/).filter((word) => word !== "");
  if (entities.length > 0) {
    return entities.map(({ type, start, end }) => `${type}  ${words.slice(start, end).join(" ")}`);
  }
  return tags.every((tag) => tag === "O") ? ["no entity"] : tags.map((tag, i) => `${words[i]}  ${tag}`);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
