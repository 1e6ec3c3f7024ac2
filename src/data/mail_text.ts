import { Parser } from "htmlparser2";
import PostalMime from "postal-mime";

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
 */
export async function readMailText(raw: Uint8Array): Promise<MailText> {
  const { subject = "", text = "", html = "" } = await PostalMime.parse(raw);
  return { subject: collapse(subject), body: collapse(text) || collapse(htmlToText(html)) };
}

/**
 * The visible text of an HTML page: no tags, comments, scripts, styles or title.
 *
 * @example
 * ```ts
 * htmlToText("<p>Fish &amp; <b>chips</b><script>x</script>"); // " Fish & chips "
 * ```
 */
export function htmlToText(html: string): string {
  let text = "";
  let hidden = 0;
  const parser = new Parser({
    onopentagname: (name) => {
      if (HIDDEN.has(name)) hidden++;
      else if (!INLINE.has(name)) text += " ";
    },
    ontext: (data) => {
      if (hidden === 0) text += data;
    },
    onclosetag: (name) => {
      if (HIDDEN.has(name)) hidden--;
      else if (!INLINE.has(name)) text += " ";
    },
  });
  parser.end(html);
  return text;
}

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
