import type { KeyValue } from "hyparquet";

/** The note in which the `datasets` library of Hugging Face keeps the types of columns. */
const NOTE = "huggingface";

/**
 * Names of the classes that columns' whole numbers stand for, also those in lists, as `datasets` notes them in a file.
 *
 * @throws {Error} if the note can't be read.
 */
export function readClassNames(notes: readonly KeyValue[] = []): Map<string, readonly string[]> {
  const classNames = new Map<string, readonly string[]>();
  const text = notes.find(({ key }) => key === NOTE)?.value;
  if (text === undefined) return classNames;
  let note: unknown;
  try {
    note = JSON.parse(text);
  } catch (cause) {
    throw new Error(`its note "${NOTE}" is not JSON`, { cause });
  }
  const features = field(field(note, "info"), "features");
  if (typeof features !== "object" || features === null) return classNames;
  for (const [column, feature] of Object.entries(features)) {
    const names = namesOf(feature);
    if (names !== undefined) classNames.set(column, names);
  }
  return classNames;
}

/** Names of a feature, or of what a list of such features is of, which was once written as `[feature]`. */
function namesOf(feature: unknown): readonly string[] | undefined {
  const inner = Array.isArray(feature) ? feature[0] : field(feature, "feature") ?? feature;
  const names = field(inner, "names");
  if (field(inner, "_type") !== "ClassLabel" || !Array.isArray(names)) return undefined;
  return names.every((name) => typeof name === "string") ? names : undefined;
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}
