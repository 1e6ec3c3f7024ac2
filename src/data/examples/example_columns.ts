/** Which column groups examples, for each kind of them. */
export interface KeyColumn {
  /** Column of what naturally groups examples; none by default. */
  readonly keyColumn?: string;
}

/** Which columns have a text, or a pair of texts. */
export interface TextColumns extends KeyColumn {
  /** Default `"text"`. */
  readonly textColumn?: string;
  /** Column of the second text; none by default. */
  readonly textPairColumn?: string;
}

/** Which columns make examples of classes. */
export interface ClassificationColumns extends TextColumns {
  /** Column of the class, a text, a number or a truth value. Default `"label"`. */
  readonly labelColumn?: string;
  /** Names of the classes that numbers stand for; by default those that the file defines, otherwise the number itself. */
  readonly classNames?: readonly string[];
}

/** Which columns make examples of several labels. */
export interface MultiLabelColumns extends TextColumns {
  /**
   * Column of the list of labels, or several columns that have each 1 or true where the label of their name applies, and
   * else 0 or false. Default `"labels"`.
   */
  readonly labelColumns?: string | readonly string[];
  /** What stands between labels in a column of text. */
  readonly separator?: string;
  /** Names of the labels that numbers in a list stand for; by default those that the file defines, otherwise the number itself. */
  readonly classNames?: readonly string[];
}

/** Which columns make examples of numbers. */
export interface RegressionColumns extends TextColumns {
  /** Column of the number, or of a list of numbers; or several columns of a number each. Default `"label"`, or `"value"` where there is none. */
  readonly valueColumn?: string | readonly string[];
}

/** Which columns make examples of tagged words. */
export interface TaggedColumns extends KeyColumn {
  /** Column of the list of words. Default `"tokens"`. */
  readonly tokensColumn?: string;
  /** Column of the list of tags. Default `"tags"`. */
  readonly tagsColumn?: string;
  /** What stands between words, and between tags, in columns of text. */
  readonly separator?: string;
  /** Names of the tags that numbers stand for; by default those that the file defines, otherwise the number itself. */
  readonly classNames?: readonly string[];
}

/** Which columns make questions. */
export interface QuestionColumns extends KeyColumn {
  /** Column of what names a question; its number where the column is missing. Default `"id"`. */
  readonly idColumn?: string;
  /** Default `"question"`. */
  readonly questionColumn?: string;
  /** Default `"context"`. */
  readonly contextColumn?: string;
  /**
   * Column of the answers: `{ text: […], answer_start: […] }`, a list of `{ text, answer_start }`, or JSON text of either; null
   * or empty texts where there is none, or where `is_impossible` says so. Default `"answers"`.
   */
  readonly answersColumn?: string;
  /**
   * What to do about an answer that doesn't stand where it is said to: `"refuse"` the file, or `"drop"` it, and the question
   * with it if no other answer is left. `"refuse"` by default.
   */
  readonly misplacedAnswers?: "refuse" | "drop";
  /** Called with each answer that is dropped. */
  readonly onDrop?: (message: string) => void;
}
