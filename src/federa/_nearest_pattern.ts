import { nearestKey } from "../data/nearest_key.ts";

/** The most layers whose names are spelt out in a message. */
const most = 12;

/** The names of layers for a message: all of a few, the different endings of many. */
export function listLayers(names: readonly string[]): string {
  if (names.length <= most) return names.join(", ");
  const endings = [...new Set(names.map((name) => `**.${lastPart(name)}`))];
  const shown = endings.slice(0, most).join(", ");
  return `${names.length}, as ${shown}${endings.length > most ? ", …" : ""}`;
}

/**
 * The pattern nearest to one that matches none of some names: with stars that reach further, with more before or after
 * it, with its words as they are spelt in the names; or else the most similar end of a name.
 *
 * @param matches Whether a pattern matches a name.
 */
export function nearestPattern(
  pattern: string,
  names: readonly string[],
  matches: (name: string, pattern: string) => boolean,
): string | undefined {
  const works = (candidate: string) => names.some((name) => matches(name, candidate));
  const spelt = spellingOf(pattern, names);
  const found = [...reaching(pattern), ...spelt === pattern ? [] : [spelt, ...reaching(spelt)]].find(works);
  if (found !== undefined) return found;
  const near = nearestKey(pattern, new Set(names.flatMap((name) => [name, `**.${lastPart(name)}`])));
  return near !== undefined && works(near) ? near : undefined;
}

/** A pattern with stars that reach further, the least first. */
function reaching(pattern: string): string[] {
  const wide = pattern.split(".").map((part) => part === "*" ? "**" : part).join(".");
  const forms = [pattern, wide];
  return [
    ...forms,
    ...forms.map((each) => `**.${each}`),
    ...forms.map((each) => `${each}.**`),
    ...forms.map((each) => `**.${each}.**`),
  ];
}

/** A pattern whose words are those nearest to them among the parts of names. */
function spellingOf(pattern: string, names: readonly string[]): string {
  const known = new Set(names.flatMap((name) => name.split(".")));
  return pattern.split(".").map((part) =>
    part.includes("*") || known.has(part) ? part : nearestKey(part, known) ?? part
  ).join(".");
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}
