import { nearestKey } from "../../text/nearest_key.ts";

const USUAL = [
  "utf-8",
  "utf-16le",
  "utf-16be",
  "windows-1252",
  "latin1",
  "iso-8859-2",
  "windows-1251",
  "gb18030",
];

/**
 * The encoding that a name means, as `TextDecoder` calls it; Python's spellings, such as `latin-1` and `utf_8`, are accepted
 * too.
 *
 * @throws {RangeError} if there is no such encoding, with the nearest usual one.
 *
 * @example
 * ```ts
 * encodingOf("latin-1"); // "windows-1252", of which Latin-1 is a part
 * ```
 */
export function encodingOf(name: string): string {
  const plain = name.toLowerCase().replace(/[-_]sig$/, "");
  for (const label of [plain, plain.replaceAll("_", "-"), plain.replace(/[-_]/g, "")]) {
    try {
      return new TextDecoder(label, { fatal: true }).encoding;
    } catch {
      // The next spelling may be a known one.
    }
  }
  const hint = nearestKey(name, USUAL);
  throw new RangeError(
    `expected the name of an encoding, such as "utf-8" or "windows-1252", got ${JSON.stringify(name)}` +
      (hint === undefined ? "" : `; did you mean "${hint}"?`),
  );
}
