import type { TaggedExample } from "../data/examples.ts";
import { placeOf } from "../data/example_place.ts";
import { sortLabels } from "../data/label_order.ts";
import { crossEntropy, ignoredLabel } from "../engine/mod.ts";
import type { Tokenizer } from "../models/mod.ts";
import { padBatch } from "../models/tokenizer/pad_batch.ts";
import { labelNumber, numberLabels } from "./_labels.ts";
import { groupOutputs, largest } from "./_outputs.ts";
import { entitiesOf, type Entity, entityScores } from "./metrics/entities.ts";
import type { PrepareOptions, Task } from "./task.ts";
import { createTaskSet, type TaskSet } from "./task_set.ts";

/** The tag of a word that is part of nothing. */
const OUTSIDE = "O";

/** Options of {@linkcode tokenClassification}. */
export interface TokenClassificationOptions {
  /** The tags, at least two, in the order of the outputs. */
  readonly labels: readonly string[];
}

/** Texts word by word: a row a text, and a class for the first token of each word. */
export interface TagSet extends TaskSet {
  /** The true tags of each text's words. */
  readonly tags: readonly (readonly string[])[];
  /** The place of each word's first token in its row; -1 for words that have none, as those cut off have. */
  readonly firstTokens: readonly Int32Array[];
}

/** The tags of a text's words. */
export interface TagPrediction {
  /** As many as words. */
  readonly tags: readonly string[];
  /** What the tags mark, where they are of the kind that marks entities; counted in words. */
  readonly entities: readonly Entity[];
}

/**
 * Tagging the words of a text, as in named entity recognition. A word's tag is told at its first token; its other tokens and
 * the special ones don't count (Devlin et al. 2019, arXiv:1810.04805, section 5.3). A word that the model doesn't see, because
 * its text is too long, is taken to be `O` and scored as such.
 *
 * Where tags mark entities (`B-…`, `I-…`), scores are the entities' F1, precision and recall, and the words' accuracy; elsewhere
 * the accuracy alone.
 *
 * @throws {RangeError} with fewer than two labels.
 * @throws {TypeError} when a label is named twice.
 */
export function tokenClassification(
  { labels }: TokenClassificationOptions,
): Task<TaggedExample, TagPrediction, TagSet> {
  const numbers = numberLabels(labels, 2);
  const numTags = labels.length;
  const marksEntities = labels.some((tag) => /^[BIES]-/.test(tag));
  const read = ({ size, length, firstTokens }: TagSet, outputs: Float32Array) =>
    groupOutputs(outputs, { count: size, size: length * numTags }).map((row, i) =>
      Array.from(
        firstTokens[i]!,
        (at) => at < 0 ? OUTSIDE : labels[largest(row.subarray(at * numTags, (at + 1) * numTags))]!,
      )
    );
  return {
    kind: "token-classification",
    labels,
    perToken: true,
    metrics: marksEntities ? ["f1", "precision", "recall", "accuracy"] : ["accuracy"],
    ask(text) {
      const tokens = wordsOf(text);
      return { tokens, tags: tokens.map(() => labels[0]!) };
    },
    prepare: (examples, tokenizer, options) => prepareTags(examples, tokenizer, { ...options, numbers }),
    losses: (outputs, { targets }) => crossEntropy(outputs, targets),
    predict(set, outputs) {
      return read(set, outputs).map((tags) => ({ tags, entities: marksEntities ? entitiesOf(tags) : [] }));
    },
    score(set, outputs) {
      const found = read(set, outputs);
      const accuracy = shareOfEqual(set.tags.flat(), found.flat());
      return marksEntities ? { ...entityScores(set.tags, found), accuracy } : { accuracy };
    },
  };
}

/** The tags that occur, `O` first, then in the order of {@linkcode sortLabels}, so that the same data gives the same numbering everywhere. */
export function tagsOf(examples: Iterable<Pick<TaggedExample, "tags">>): string[] {
  const tags = new Set<string>();
  for (const example of examples) for (const tag of example.tags) tags.add(tag);
  const outside = tags.delete(OUTSIDE) ? [OUTSIDE] : [];
  return [...outside, ...sortLabels(tags)];
}

function prepareTags(
  examples: readonly TaggedExample[],
  tokenizer: Tokenizer,
  { maxLength, numbers }: PrepareOptions & { readonly numbers: ReadonlyMap<string, number> },
): TagSet {
  const rows = examples.map(({ tokens }) => tokenizer.encodeWords(tokens, { maxLength }));
  const targets = new Int32Array(examples.length * maxLength).fill(ignoredLabel);
  const firstTokens = examples.map((example, i) => {
    const { tokens, tags } = example;
    const place = () => placeOf(example, i);
    if (tokens.length !== tags.length) {
      throw new RangeError(
        `Cannot use ${place()}: it must have a tag for each word, got ${tags.length} and ${tokens.length}`,
      );
    }
    const classes = tags.map((tag) => labelNumber(numbers, tag, place));
    const places = Int32Array.from(tokens, (_, word) => rows[i]!.words.indexOf(word));
    places.forEach((at, word) => {
      if (at >= 0) targets[i * maxLength + at] = classes[word]!;
    });
    return places;
  });
  const batch = padBatch(rows, { padId: tokenizer.padId, padTo: maxLength });
  return { ...createTaskSet(batch, { targets }), tags: examples.map(({ tags }) => tags), firstTokens };
}

/** Words, and each other sign on its own. */
function wordsOf(text: string): string[] {
  return text.match(/[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]/gu) ?? [];
}

function shareOfEqual(tags: readonly string[], found: readonly string[]): number {
  if (tags.length === 0) throw new RangeError("Cannot score tags: there must be at least one word, got 0");
  return tags.filter((tag, i) => tag === found[i]).length / tags.length;
}
