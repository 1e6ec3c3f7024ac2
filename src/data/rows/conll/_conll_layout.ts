import { CorruptFileError } from "../../errors.ts";

/** A sentence: consecutive lines. */
export interface Sentence {
  /** The first line's number. */
  readonly first: number;
  readonly lines: readonly string[];
  /** How many of the first lines begin with `#`: comments, or words. */
  readonly hashes: number;
}

/** The lines of a file, and how they split into columns. */
export interface ConllFile {
  readonly path: string;
  readonly sentences: readonly Sentence[];
  readonly split: (line: string) => string[];
  /** Number of columns, and the line that it was taken from. */
  readonly width: number;
  readonly widthLine: number;
}

/** What the columns of a file are. */
export interface ConllLayout {
  /** Whether the first column numbers the words of each sentence. */
  readonly isNumbered: boolean;
  /** The columns to take, and their names. */
  readonly columns: readonly (readonly [place: number, name: string])[];
  /** Whether a first line of a sentence that begins with `#` is a word, not a comment. */
  readonly isWord: (fields: readonly string[]) => boolean;
}

/** With at most this many columns the last one is the tag, whatever it holds. */
const MOST_COLUMNS = 4;

type OnNotice = ((message: string) => void) | undefined;

/** Options of {@linkcode layoutOf}. */
export interface LayoutOptions {
  /**
   * Names of the columns; without them, words are in the first column, or in the second if the first numbers them, and tags in
   * the last, or in the only column that marks entities.
   */
  readonly header?: readonly string[] | undefined;
  /** Called with the column of the tags if it isn't the last one. */
  readonly onNotice?: OnNotice;
}

/**
 * Finds out what the columns of a file are.
 *
 * @throws {CorruptFileError} if it isn't clear which column has the tags.
 */
export function layoutOf(file: ConllFile, { header, onNotice }: LayoutOptions): ConllLayout {
  const isNumbered = numbersWords(file);
  return {
    isNumbered,
    columns: header === undefined
      ? wordsAndTags(file, isNumbered, onNotice)
      : [...header.entries()].filter(([, name]) => name.trim() !== ""),
    isWord: wordTest(file),
  };
}

/** Whether a number isn't one of a word: `3-4` is a range of words, `8.1` an empty node. */
export function isExtraNumber(number: string): boolean {
  return /^\d+[-.]\d+$/.test(number);
}

function numbersWords({ sentences, split, width }: ConllFile): boolean {
  let longest = 0;
  for (const { lines, hashes } of sentences) {
    let count = 0;
    for (let i = hashes; i < lines.length; i++) {
      const [number] = split(lines[i]!);
      if (isExtraNumber(number!)) continue;
      if (number !== String(++count)) return false;
    }
    longest = Math.max(longest, count);
  }
  return width > 2 && longest > 1;
}

function wordsAndTags(file: ConllFile, isNumbered: boolean, onNotice: OnNotice): ConllLayout["columns"] {
  const { path, width } = file;
  const [word, last] = [isNumbered ? 1 : 0, width - 1];
  const marking = markingColumns(file, isNumbered, word + 1);
  if (marking.length === 0 && markingColumns(file, isNumbered, word).length > 0) {
    throw new CorruptFileError(
      `Cannot read ${path}: its words, in column ${
        word + 1
      }, look like tags, and its tags, in the last, don't; ${advice(width, last, word)}`,
    );
  }
  let tag: number | undefined;
  if (!isNumbered) tag = width <= MOST_COLUMNS || marking.includes(last) ? last : undefined;
  // GermEval 2014 has the outer entities before the nested ones.
  else if (width <= MOST_COLUMNS) tag = marking[0] ?? (width === 3 ? last : undefined);
  else if (marking.length === 1) tag = marking[0];
  if (tag === undefined) {
    // Column 4 of CoNLL-U has the parts of speech.
    const example = width === 10 ? 3 : marking[0] ?? last;
    throw new CorruptFileError(
      `Cannot read ${path}: its lines have ${width} columns${
        isNumbered ? ", the first of which numbers the words" : ""
      }, ` +
        `and it isn't clear which one has the tags; ${advice(width, word, example)}`,
    );
  }
  if (isSplitFurther(file, tag)) {
    throw new CorruptFileError(
      `Cannot read ${path}: blanks split its column ${
        tag + 1
      }, where the tags would be, further in each line; separate all ` +
        "columns by tabs alone, or all by blanks alone",
    );
  }
  if (tag !== last) {
    onNotice?.(
      `${path}: tags are read from column ${tag + 1} of ${width}; for another, ${advice(width, word, last)}`,
    );
  }
  return [[word, "tokens"], [tag, "tags"]];
}

/** Whether all values of a column have equally many parts, several, between blanks. */
function isSplitFurther({ sentences, split }: ConllFile, place: number): boolean {
  let numParts: number | undefined;
  for (const { lines, hashes } of sentences) {
    for (let i = hashes; i < lines.length; i++) {
      const { length } = split(lines[i]!)[place]!.split(" ");
      if (length === 1 || length !== (numParts ??= length)) return false;
    }
  }
  return numParts !== undefined;
}

function advice(width: number, word: number, tag: number): string {
  const names = Array.from({ length: width }, (_, i) => i === word ? "tokens" : i === tag ? "tags" : "");
  return `name the columns by header, such as ${JSON.stringify(names)}`;
}

/** The columns, from the first that may, that mark entities throughout, as BIO and its like do. */
function markingColumns({ sentences, split, width }: ConllFile, isNumbered: boolean, from: number): number[] {
  let places = Array.from({ length: width }, (_, i) => i).slice(from);
  for (const { lines, hashes } of sentences) {
    for (let i = hashes; i < lines.length && places.length > 0; i++) {
      const fields = split(lines[i]!);
      if (isNumbered && isExtraNumber(fields[0]!)) continue;
      places = places.filter((place) => marksEntity(fields[place]!));
    }
  }
  return places;
}

function marksEntity(tag: string): boolean {
  return /^(O|[BIESLUMW]-.+)$/.test(tag);
}

/**
 * A line that begins with `#` is a word if it has as many columns as the words, and each column after the first holds a value
 * that other words have there, or the mark of an entity.
 */
function wordTest({ sentences, split, width }: ConllFile): ConllLayout["isWord"] {
  let known: Set<string>[] | undefined;
  const collect = () => {
    const values = Array.from({ length: width }, () => new Set<string>());
    for (const { lines, hashes } of sentences) {
      for (let i = hashes; i < lines.length; i++) {
        split(lines[i]!).forEach((field, place) => values[place]!.add(field));
      }
    }
    return values;
  };
  return (fields) => {
    if (fields.length !== width) return false;
    known ??= collect();
    return fields.every((field, place) => place === 0 || known![place]!.has(field) || marksEntity(field));
  };
}
