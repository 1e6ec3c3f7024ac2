import { CorruptFileError, DataLimitError } from "../../errors.ts";

/** Longest record, in UTF-16 units. */
const MAX_RECORD = 64 << 20;

const [QUOTE, LINE_FEED, RETURN, MARK] = [0x22, 0x0a, 0x0d, 0xfeff];

/** The values of a line, or of several where quotation marks enclose their ends. */
export interface CsvRecord {
  readonly values: string[];
  /** The line that it begins in, from 1. */
  readonly line: number;
}

/** Options of a {@linkcode CsvTokenizer}. */
export interface CsvTokenizerOptions {
  readonly delimiter: string;
  /** Whether quotation marks enclose a value that begins with one. */
  readonly quotes: boolean;
  /** Number of the text's first line; 1 by default. */
  readonly line?: number;
}

/** How often values are odd, and the line of the first. */
export interface CsvOddity {
  readonly count: number;
  readonly line: number;
}

function note(oddity: { count: number; line: number }, line: number): void {
  if (oddity.count++ === 0) oddity.line = line;
}

/**
 * Splits text into records and their values, as pandas' `read_csv` does: quotation marks enclose a value that begins with
 * one, and are text elsewhere; two of them in such a value are one of its text; blank lines are skipped, and so are byte order
 * marks in front of a record, which are left where files were joined.
 */
export class CsvTokenizer {
  readonly #delimiter: number;
  readonly #quote: number;
  #values: string[] = [];
  /** The current value so far, and the state that it is read in. */
  #value = "";
  #state: "begin" | "plain" | "quoted" | "closing" = "begin";
  #line: number;
  #recordLine: number;
  #quotedLine: number;
  #length = 0;
  #wasQuoted = false;
  #afterReturn = false;
  #continued = { count: 0, line: 0 };
  #spaced = { count: 0, line: 0 };

  constructor({ delimiter, quotes, line = 1 }: CsvTokenizerOptions) {
    this.#line = this.#recordLine = this.#quotedLine = line;
    this.#delimiter = delimiter.charCodeAt(0);
    this.#quote = quotes ? QUOTE : -1;
  }

  /** Values that went on after the quotation that they begin with. */
  get continued(): CsvOddity {
    return this.#continued;
  }

  /** Values whose quotation marks are text, since a blank stands in front of the first. */
  get spaced(): CsvOddity {
    return this.#spaced;
  }

  /**
   * The records that end in a piece of text.
   *
   * @throws {CorruptFileError} naming the line of a quotation that doesn't end as one.
   * @throws {DataLimitError} if a record is too long.
   */
  push(text: string): CsvRecord[] {
    const records: CsvRecord[] = [];
    let start = 0;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (this.#afterReturn) {
        this.#afterReturn = false;
        if (code === LINE_FEED) {
          start = i + 1;
          continue;
        }
      }
      if (this.#state === "quoted") {
        if (code === LINE_FEED) this.#line++;
        if (code !== QUOTE) continue;
        this.#take(text.slice(start, i));
        this.#state = "closing";
        start = i + 1;
      } else if (code === this.#delimiter) {
        this.#endValue(text.slice(start, i));
        start = i + 1;
      } else if (code === LINE_FEED || code === RETURN) {
        this.#endRecord(text.slice(start, i), records);
        this.#afterReturn = code === RETURN;
        start = i + 1;
      } else if (this.#state === "begin") {
        if (code === MARK && this.#values.length === 0) {
          start = i + 1;
          continue;
        }
        this.#state = code === this.#quote ? "quoted" : "plain";
        if (this.#state === "plain") continue;
        this.#wasQuoted = true;
        this.#quotedLine = this.#line;
        start = i + 1;
      } else if (this.#state === "closing") {
        if (code === QUOTE) {
          // The second of two is text, and belongs to the slice that begins here.
          this.#state = "quoted";
        } else {
          if (this.#quotedLine !== this.#line) throw this.#misquoted();
          this.#state = "plain";
          note(this.#continued, this.#line);
        }
        start = i;
      }
    }
    this.#take(text.slice(start));
    return records;
  }

  /**
   * The last record, if the text didn't end with its line.
   *
   * @throws {CorruptFileError} naming the line of a quotation that is never closed.
   */
  end(): CsvRecord[] {
    if (this.#state === "quoted") throw this.#misquoted();
    const records: CsvRecord[] = [];
    this.#endRecord("", records);
    return records;
  }

  #take(text: string): void {
    this.#value += text;
    this.#length += text.length;
    if (this.#length > MAX_RECORD) {
      throw new DataLimitError(
        `line ${this.#recordLine}: a record may have at most ${MAX_RECORD} characters`,
      );
    }
  }

  #endValue(text: string): void {
    this.#take(text);
    if (this.#quote === QUOTE && this.#value.startsWith(" ") && isSpacedQuotation(this.#value)) {
      note(this.#spaced, this.#recordLine);
    }
    this.#values.push(this.#value);
    this.#value = "";
    this.#state = "begin";
  }

  #endRecord(text: string, records: CsvRecord[]): void {
    this.#endValue(text);
    const values = this.#values;
    const isBlank = values.length === 1 && !this.#wasQuoted && /^[ \t]*$/.test(values[0]!);
    if (!isBlank) records.push({ values, line: this.#recordLine });
    this.#values = [];
    this.#wasQuoted = false;
    this.#length = 0;
    this.#recordLine = ++this.#line;
  }

  #misquoted(): Error {
    return new CorruptFileError(
      `line ${this.#quotedLine}: a value begins with a quotation mark and doesn't end with one; if quotation marks are part of ` +
        `the text in this file, set quotes to false`,
    );
  }
}

/** Whether quotation marks enclose a value but for blanks. */
function isSpacedQuotation(value: string): boolean {
  const text = value.trim();
  return text.length > 1 && text.startsWith('"') && text.endsWith('"');
}
