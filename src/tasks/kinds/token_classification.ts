import type { TaggedExample } from "../../data/examples/examples.ts";
import { placeOf } from "../../data/examples/example_place.ts";
import { sortLabels } from "../../data/examples/label_order.ts";
import { crossEntropy, ignoredLabel } from "../../engine/mod.ts";
import type { Tokenizer } from "../../models/mod.ts";
import { padBatch } from "../../models/tokenizer/pad_batch.ts";
import { labelNumber, numberLabels } from "./_labels.ts";
import { largest } from "./outputs.ts";
import { rowReader } from "./row_reader.ts";
import { findWords, type TextWord } from "./_text_words.ts";
import { entitiesOf, type Entity, entityScores } from "../metrics/entities.ts";
import type { PrepareOptions, Task } from "../task.ts";
import { createTaskSet, type TaskSet } from "../task_set.ts";

/** The tag of a word that is part of nothing. */
const OUTSIDE = "O";

/** Options of {@linkcode tokenClassification}. */
export interface TokenClassificationOptions {
  /** The tags, at least two, in the order of the outputs. */
  readonly labels: readonly string[];
}

export type { TextWord };

/** Texts word by word: a row a text, and a class for the first token of each word. */
export interface TagSet extends TaskSet {
  /** The true tags of each text's words. */
  readonly tags: readonly (readonly string[])[];
  /** The place of each word's first token in its row; -1 for words that have none, as those cut off have. */
  readonly firstTokens: readonly Int32Array[];
  /** The words of each text that were found in it; undefined for texts that were given word by word. */
  readonly words: readonly (readonly TextWord[] | undefined)[];
  /** The texts whose words were found; undefined for those that were given word by word. */
  readonly texts: readonly (string | undefined)[];
  /** Whether each text was too long, so that some of its tokens are missing. */
  readonly truncated: readonly boolean[];
}

/** Words of a text that are one thing, and where they stand in it, in UTF-16 units. */
export interface TextEntity extends Entity {
  /** `text.slice(startChar, endChar)` of the whole text. */
  readonly text: string;
  readonly startChar: number;
  readonly endChar: number;
}

/** The tags of a text's words. */
export interface TagPrediction {
  /** As many as words. */
  readonly tags: readonly string[];
  /** What the tags mark, where they are of the kind that marks entities; counted in words, and with places in a text. */
  readonly entities: readonly (Entity | TextEntity)[];
  /** The words, as many as tags, where they were found in a text. */
  readonly words?: readonly TextWord[];
  /** How many words count as `O` because the text was too long for the model to read them; absent if none. */
  readonly numUnseen?: number;
}

/**
 * Tags the words of a text, as in named entity recognition. A word's tag is read at its first token; its other tokens and
 * the special ones don't count (Devlin et al. 2019, arXiv:1810.04805, section 5.3). A word that the model doesn't see, because
 * its text is too long, is taken to be `O` and scored as such.
 *
 * A text that isn't given word by word is read as the pipeline of `transformers` reads it. Its words are the
 * tokenizer's, punctuation apart, and each has the tag that the pipeline gives its first token
 * (`aggregation_strategy="none"`): entities are those of `"first"`, except that there punctuation belongs to the word before it
 * with vocabularies other than WordPiece. In scripts that put no space between words, such as Chinese, Japanese and Thai, every
 * token is a word, so that entities are those of `"simple"`.
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
  /** Reads the tags of each text's words. */
  const tagReader = <Result>(set: TagSet, finish: (tags: readonly string[][]) => Result) =>
    rowReader(set, {
      width: numTags,
      perToken: true,
      read: (outputs, row) =>
        Array.from(
          set.firstTokens[row]!,
          (at) => at < 0 ? OUTSIDE : labels[largest(outputs.subarray(at * numTags, (at + 1) * numTags))]!,
        ),
      finish,
    });
  return {
    kind: "token-classification",
    labels,
    perToken: true,
    metrics: marksEntities ? ["f1", "precision", "recall", "accuracy"] : ["accuracy"],
    ask: (text) => ({ tokens: [], tags: [], text }),
    prepare: (examples, tokenizer, options) => prepareTags(examples, tokenizer, { ...options, numbers }),
    losses: (outputs, { targets }) => crossEntropy(outputs, targets),
    predictor: (set) =>
      tagReader(set, (found) =>
        found.map((tags, i) => {
          const entities = marksEntities ? entitiesOf(tags) : [];
          const words = set.words[i];
          const numUnseen = countUnseen(set, i);
          return {
            tags,
            entities: words === undefined
              ? entities
              : entities.map((entity) => locate(entity, set.texts[i]!, words)),
            ...(words && { words }),
            ...(numUnseen > 0 && { numUnseen }),
          };
        })),
    scorer: (set) =>
      tagReader(set, (found) => {
        const accuracy = shareOfEqual(set.tags.flat(), found.flat());
        return marksEntities ? { ...entityScores(set.tags, found), accuracy } : { accuracy };
      }),
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
  const first = [...numbers.keys()][0]!;
  const rows = examples.map(({ text, ...example }) =>
    text === undefined
      ? rowOfWords(example, tokenizer, maxLength)
      : rowOfText(text, tokenizer, { maxLength, tag: first })
  );
  const targets = new Int32Array(examples.length * maxLength).fill(ignoredLabel);
  rows.forEach(({ tags, firstTokens }, i) => {
    const place = () => placeOf(examples[i]!, i);
    if (firstTokens.length !== tags.length) {
      throw new RangeError(
        `Cannot use ${place()}: it must have a tag for each word, got ${tags.length} and ${firstTokens.length}`,
      );
    }
    const classes = tags.map((tag) => labelNumber(numbers, tag, place));
    firstTokens.forEach((at, word) => {
      if (at >= 0) targets[i * maxLength + at] = classes[word]!;
    });
  });
  const batch = padBatch(rows, { padId: tokenizer.padId, padTo: maxLength });
  return {
    ...createTaskSet(batch, { targets }),
    tags: rows.map(({ tags }) => tags),
    firstTokens: rows.map(({ firstTokens }) => firstTokens),
    words: rows.map(({ words }) => words),
    texts: examples.map(({ text }) => text),
    truncated: rows.map(({ isTruncated }) => isTruncated),
  };
}

/** A row of tokens, and where its words are in it. */
interface TagRow {
  readonly inputIds: readonly number[];
  readonly tokenTypeIds: readonly number[];
  readonly isTruncated: boolean;
  readonly tags: readonly string[];
  readonly firstTokens: Int32Array;
  readonly words?: readonly TextWord[];
}

function rowOfWords(
  { tokens, tags }: Pick<TaggedExample, "tokens" | "tags">,
  tokenizer: Tokenizer,
  maxLength: number,
): TagRow {
  const { words, ...row } = tokenizer.encodeWords(tokens, { maxLength });
  const firstTokens = new Int32Array(tokens.length).fill(-1);
  for (let at = words.length - 1; at >= 0; at--) if (words[at]! >= 0) firstTokens[words[at]!] = at;
  return { ...row, tags, firstTokens };
}

function rowOfText(
  text: string,
  tokenizer: Tokenizer,
  { maxLength, tag }: { readonly maxLength: number; readonly tag: string },
): TagRow {
  const { inputIds, tokenTypeIds, tokens } = tokenizer.encodeText(text, { maxLength });
  const found = findWords(text, tokens);
  return {
    inputIds,
    tokenTypeIds,
    isTruncated: tokens.some(({ place }) => place < 0),
    tags: found.map(() => tag),
    firstTokens: Int32Array.from(found, ({ firstToken }) => firstToken),
    words: found.map(({ text, start, end }) => ({ text, start, end })),
  };
}

/** How many words were cut off before the first and after the last word that the model reads. */
function countUnseen({ truncated, firstTokens }: TagSet, row: number): number {
  if (!truncated[row]) return 0;
  const places = firstTokens[row]!;
  const first = places.findIndex((at) => at >= 0);
  return first < 0 ? places.length : first + places.length - 1 - places.findLastIndex((at) => at >= 0);
}

function locate(entity: Entity, text: string, words: readonly TextWord[]): TextEntity {
  const [startChar, endChar] = [words[entity.start]!.start, words[entity.end - 1]!.end];
  return { ...entity, text: text.slice(startChar, endChar), startChar, endChar };
}

function shareOfEqual(tags: readonly string[], found: readonly string[]): number {
  if (tags.length === 0) throw new RangeError("Cannot score tags: there must be at least one word, got 0");
  return tags.filter((tag, i) => tag === found[i]).length / tags.length;
}
