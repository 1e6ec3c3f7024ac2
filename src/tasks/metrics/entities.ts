/** Words in a row that are one thing. */
export interface Entity {
  readonly type: string;
  /** The first word. */
  readonly start: number;
  /** The word after the last. */
  readonly end: number;
}

/** How well entities are found. */
export interface EntityScores {
  /** 2·found / (true + predicted). */
  readonly f1: number;
  /** Share of the predicted entities that are true. */
  readonly precision: number;
  /** Share of the true entities that are predicted. */
  readonly recall: number;
}

/**
 * The entities that tags mark, as conlleval and seqeval (its default mode) read them, so that ill-formed tags mean the same
 * as there: `I-X` without a beginning begins an entity, a change of type ends one and begins the next. Tags are `O`, or one
 * of B, I, E, S (IOB, BIO and IOBES alike) and a type, as in `B-PER`; without a type it is `_`.
 *
 * @throws {RangeError} if a tag is empty
 */
export function entitiesOf(tags: readonly string[]): Entity[] {
  const entities: Entity[] = [];
  let before: Tag = { mark: "O", type: "" };
  let start = 0;
  [...tags, "O"].forEach((text, i) => {
    const tag = parseTag(text, i);
    if (ends(before, tag)) entities.push({ type: before.type, start, end: i });
    if (begins(before, tag)) start = i;
    before = tag;
  });
  return entities;
}

/**
 * Precision, recall and F1 of entities over all texts: one is found when its type and both ends are right (the micro
 * average of seqeval's default mode). A quotient without a denominator is 0.
 *
 * @param tags true tags of each text
 * @param predictions predicted tags of each text, one for each word
 * @throws {TypeError} if there are more or fewer predictions than tags
 * @throws {RangeError} if a tag is empty
 */
export function entityScores(
  tags: readonly (readonly string[])[],
  predictions: readonly (readonly string[])[],
): EntityScores {
  if (tags.length !== predictions.length) {
    throw new TypeError(
      `Cannot score tags: there must be predictions for each text, got ${predictions.length} and ${tags.length}`,
    );
  }
  tags.forEach((each, i) => {
    const count = predictions[i]!.length;
    if (each.length !== count) {
      throw new TypeError(
        `Cannot score tags of text ${i}: there must be one prediction for each tag, got ${count} and ${each.length}`,
      );
    }
  });
  const [expected, predicted] = [entityKeys(tags), entityKeys(predictions)];
  const found = [...predicted].filter((key) => expected.has(key)).length;
  const share = (total: number) => total === 0 ? 0 : found / total;
  return {
    f1: 2 * share(expected.size + predicted.size),
    precision: share(predicted.size),
    recall: share(expected.size),
  };
}

/** The entities of all texts as seqeval finds them: in all texts joined, with an `O` after each, and each entity once. */
function entityKeys(texts: readonly (readonly string[])[]): ReadonlySet<string> {
  const entities = entitiesOf(texts.flatMap((tags) => [...tags, "O"]));
  return new Set(entities.map(({ type, start, end }) => `${start} ${end} ${type}`));
}

/** What a tag says: B begins, I goes on, E is the last, S the only one, O is outside. */
interface Tag {
  readonly mark: string;
  readonly type: string;
}

function parseTag(text: string, word: number): Tag {
  if (text === "") throw new RangeError(`Cannot read tags: tag ${word} must not be empty`);
  const mark = String.fromCodePoint(text.codePointAt(0)!);
  const rest = text.slice(mark.length);
  return { mark, type: rest.slice(rest.indexOf("-") + 1) || "_" };
}

/** Whether the entity of the word before ends there. */
function ends(before: Tag, tag: Tag): boolean {
  if (before.mark === "E" || before.mark === "S") return true;
  if ("BI".includes(before.mark) && "BSO".includes(tag.mark)) return true;
  return isInside(before) && before.type !== tag.type;
}

/** Whether an entity begins at a word. */
function begins(before: Tag, tag: Tag): boolean {
  if (tag.mark === "B" || tag.mark === "S") return true;
  if ("EI".includes(tag.mark) && "ESO".includes(before.mark)) return true;
  return isInside(tag) && before.type !== tag.type;
}

function isInside({ mark }: Tag): boolean {
  return mark !== "O" && mark !== ".";
}
