import { excerpt, excerptOfNames } from "../../text/excerpt.ts";
import { isObject } from "./is_object.ts";

/** Options of {@linkcode rowsOfDocument}. */
export interface RowsOfDocumentOptions {
  /** The columns that are looked for; unknown by default. */
  readonly columns?: readonly string[] | undefined;
  /** Called with the part of the document that has the rows, where that isn't obvious. */
  readonly onNotice: (message: string) => void;
}

/**
 * The rows of a JSON document, in whatever shape programs write tables: a list of rows; an object with such a list as `data`, or
 * with one list of objects under another name; columns, as lists or as pandas' `to_json()` writes them by default; pandas' `split`
 * and `index`; an article or a paragraph of SQuAD; or one row alone.
 *
 * @throws {Error} saying what was expected and what was found.
 */
export function rowsOfDocument(root: unknown, options: RowsOfDocumentOptions): readonly unknown[] {
  if (Array.isArray(root)) return root;
  if (!isObject(root)) throw new Error(`expected a list of objects, got ${excerpt(root)}`);
  const { data, columns } = root;
  if (Array.isArray(data) && Array.isArray(columns) && data.every(Array.isArray)) {
    return rowsOfLists(data, columns);
  }
  if (Array.isArray(data)) return data;
  if (isObject(data)) return rowsOfDocument(data, options);
  const entries = Object.entries(root);
  const wanted = new Set(options.columns);
  const named = entries.filter(([name]) => wanted.has(name));
  if (Array.isArray(root["paragraphs"]) || Array.isArray(root["qas"])) return [root];
  if (named.some(([, value]) => typeof value !== "object" || value === null)) return [root];
  if (named.length > 0) return rowsOfColumns(entries);
  const lists = entries.filter(([, value]) => isListOfObjects(value));
  if (lists.length === 1) {
    options.onNotice(`rows are those of ${excerpt(lists[0]![0])}`);
    return lists[0]![1] as unknown[];
  }
  if (lists.length > 1) {
    throw new Error(
      `expected one list of objects, got several, ${
        excerptOfNames(lists.map(([name]) => name))
      }; write each to a ` +
        "file of its own",
    );
  }
  const isTable = entries.length > 0 && entries.every(([, value]) => isObject(value));
  if (isTable && entries.some(([, row]) => Object.keys(row as object).some((name) => wanted.has(name)))) {
    options.onNotice("each value of the object is a row; their names are left out");
    return entries.map(([, row]) => row);
  }
  if (isTable || entries.length > 0 && entries.every(([, value]) => Array.isArray(value))) {
    return rowsOfColumns(entries);
  }
  return [root];
}

function isListOfObjects(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isObject);
}

function rowsOfLists(data: readonly unknown[][], columns: readonly unknown[]): object[] {
  return data.map((values, i) => {
    if (values.length !== columns.length) {
      throw new Error(
        `expected ${columns.length} values in row ${i + 1} of data, as columns has, got ${values.length}`,
      );
    }
    return Object.fromEntries(columns.map((name, j) => [String(name), values[j]]));
  });
}

/** Rows of columns that are lists, or objects with a value for each name of a row. */
function rowsOfColumns(entries: readonly (readonly [name: string, values: unknown])[]): object[] {
  const columns = entries.filter(([, values]) => typeof values === "object" && values !== null);
  const [first, values] = columns[0]!;
  const keys = Object.keys(values as object);
  for (const [name, each] of columns) {
    const own = Object.keys(each as object);
    if (Array.isArray(each) === Array.isArray(values) && own.length === keys.length) {
      const missing = keys.find((key) => !Object.hasOwn(each as object, key));
      if (missing === undefined) continue;
      throw new Error(
        `expected a value ${excerpt(missing)} in column ${excerpt(name)}, as in ${excerpt(first)}, got none`,
      );
    }
    throw new Error(
      `expected columns of one form and length, got ${excerpt(first)} with ${keys.length} values and ${
        excerpt(name)
      } ` +
        `with ${own.length}`,
    );
  }
  return keys.map((key) =>
    Object.fromEntries(columns.map(([name, each]) => [name, (each as Record<string, unknown>)[key]]))
  );
}
