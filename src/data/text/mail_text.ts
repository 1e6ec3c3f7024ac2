import { Parser } from "htmlparser2";
import PostalMime from "postal-mime";
import { DataLimitError } from "../errors.ts";

/** The parser takes at least 10 µs a line; an attachment of 18 MB has this many. */
const MOST_LINES = 250_000;

/** Deepest nesting of elements: the parser's time grows with the square of those left open. */
const DEEPEST_HTML = 5_000;

/** What a reader sees of a mail, white space collapsed. */
export interface MailText {
  subject: string;
  /** The plain text part, or the text of the HTML part where there is none. */
  body: string;
}

/**
 * Reads subject and body of a raw mail (RFC 5322, MIME): decodes parts and character sets, leaves out every other
 * header and all attachments.
 *
 * @throws {Error} on a mail nested too deeply to be meant.
 * @throws {DataLimitError} on a mail of more than 250,000 lines, and as {@linkcode htmlToText}.
 */
export async function readMailText(raw: Uint8Array): Promise<MailText> {
  let numLines = 0;
  for (const byte of raw) if (byte === LINE_FEED) numLines++;
  if (numLines > MOST_LINES) {
    throw new DataLimitError(`Cannot read mail: it may have at most ${MOST_LINES} lines, got ${numLines}`);
  }
  const { subject = "", text = "", html = "" } = await PostalMime.parse(raw);
  return { subject: collapse(subject), body: collapse(text) || collapse(htmlToText(html)) };
}

/**
 * The visible text of an HTML page: no tags, comments, scripts, styles or title.
 *
 * @throws {DataLimitError} if more than 5,000 elements are nested.
 *
 * @example
 * ```ts
 * htmlToText("<p>Fish &amp; <b>chips</b><script>x</script>"); // " Fish & chips "
 * ```
 */
export function htmlToText(html: string): string {
  let text = "";
  let hidden = 0;
  let depth = 0;
  const parser = new Parser({
    onopentagname: (name) => {
      if (++depth > DEEPEST_HTML) {
        throw new DataLimitError(
          `Cannot read HTML: it may nest at most ${DEEPEST_HTML} elements`,
        );
      }
      if (HIDDEN.has(name)) hidden++;
      else if (!INLINE.has(name)) text += " ";
    },
    ontext: (data) => {
      if (hidden === 0) text += data;
    },
    onclosetag: (name) => {
      depth--;
      if (HIDDEN.has(name)) hidden--;
      else if (!INLINE.has(name)) text += " ";
    },
  });
  parser.end(html);
  return text;
}

const LINE_FEED = 10;

/** Tags whose content is not shown. */
const HIDDEN = new Set(["script", "style", "title", "noframes", "template"]);
/** Tags that do not part words; spam likes to hide one word in many of them. */
const INLINE = new Set([
  "a",
  "abbr",
  "b",
  "big",
  "em",
  "font",
  "i",
  "s",
  "small",
  "span",
  "strong",
  "sub",
  "sup",
  "tt",
  "u",
]);

function collapse(text: string): string {
  return text.replace(/\s+/gu, " ").trim();
}
