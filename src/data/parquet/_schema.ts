import type { SchemaElement } from "hyparquet";

/** A column of values, which may be inside of lists and structures. */
export interface Leaf {
  readonly element: SchemaElement;
  /** Names on the way to it, that of the row's column in front. */
  readonly path: readonly string[];
  /** Lists around a value, and places on the way that may be empty: the greatest levels of Parquet. */
  readonly maxRepetition: number;
  readonly maxDefinition: number;
}

/** The leaves of each column of a row. */
export type Columns = ReadonlyMap<string, readonly Leaf[]>;

const MAX_ELEMENTS = 10_000;
const MAX_DEPTH = 12;

/**
 * The columns of a schema, which lists its tree from the root down.
 *
 * @throws {Error} saying what is wrong with it.
 */
export function readSchema(schema: readonly SchemaElement[]): Columns {
  if (schema.length > MAX_ELEMENTS) {
    throw new Error(`its schema has ${schema.length} parts, more than ${MAX_ELEMENTS}`);
  }
  const columns = new Map<string, Leaf[]>();
  let next = 0;
  const visit = (parent: Omit<Leaf, "element"> | undefined): void => {
    const element = schema[next++];
    if (element === undefined) throw new Error("its schema ends early");
    const { name, num_children: numChildren = 0, repetition_type: repetition, type } = element;
    const node = parent === undefined ? { path: [], maxRepetition: 0, maxDefinition: 0 } : {
      path: [...parent.path, name],
      maxRepetition: parent.maxRepetition + (repetition === "REPEATED" ? 1 : 0),
      maxDefinition: parent.maxDefinition + (repetition === "REQUIRED" ? 0 : 1),
    };
    if (parent !== undefined && (!name || name === "__proto__")) {
      throw new Error(`its schema names a column "${name}"`);
    }
    if (node.path.length > MAX_DEPTH) {
      throw new Error(`its columns are nested deeper than ${MAX_DEPTH} levels`);
    }
    if (node.path.length === 1) {
      if (columns.has(name)) throw new Error(`two columns are named "${name}"`);
      columns.set(name, []);
    }
    if (!(numChildren >= 0 && numChildren < schema.length)) throw new Error("its schema contradicts itself");
    if (numChildren === 0) {
      if (parent === undefined) return;
      if (type === undefined || repetition === undefined) {
        throw new Error(`column ${node.path.join(".")} has no type`);
      }
      columns.get(node.path[0]!)!.push({ ...node, element });
    } else if (type !== undefined) throw new Error(`column ${node.path.join(".")} is a value and has parts`);
    const names = new Set<string>();
    for (let i = 0; i < numChildren; i++) {
      const child = schema[next]?.name ?? "";
      if (names.has(child)) throw new Error(`column ${node.path.join(".")} has two parts named "${child}"`);
      names.add(child);
      visit(node);
    }
  };
  visit(undefined);
  if (next !== schema.length) throw new Error("its schema contradicts itself");
  return columns;
}

const PLAIN_TYPES = new Set<unknown>([
  ...[undefined, "UTF8", "LIST", "ENUM", "JSON", "DATE", "TIME_MILLIS", "TIME_MICROS"],
  ...["TIMESTAMP_MILLIS", "TIMESTAMP_MICROS", "UINT_8", "UINT_16", "UINT_32", "UINT_64"],
  ...["INT_8", "INT_16", "INT_32", "INT_64", "DECIMAL"],
]);
const LOGICAL_TYPES = new Set<unknown>([
  ...[
    "STRING",
    "LIST",
    "ENUM",
    "JSON",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "INTEGER",
    "DECIMAL",
    "NULL",
    "UUID",
    "FLOAT16",
  ],
]);

/** Longest values of a fixed length that stand for numbers, in bytes. */
const MAX_NUMBER = 32;

/** Says why values of a column can't be read, or nothing if they can. */
export function unreadableType({ element }: Leaf): string | undefined {
  const { type, converted_type: converted, logical_type: logical, type_length: length = 0 } = element;
  if (!PLAIN_TYPES.has(converted) || logical !== undefined && !LOGICAL_TYPES.has(logical.type)) {
    return `values of type ${converted ?? logical?.type ?? "unknown"}`;
  }
  const isNumber = converted === "DECIMAL" || logical?.type === "UUID" || logical?.type === "FLOAT16";
  if (isNumber && type === "BYTE_ARRAY") return `${converted ?? logical!.type} of changing length`;
  if (type === "FIXED_LEN_BYTE_ARRAY" && !(length > 0 && length <= (isNumber ? MAX_NUMBER : 2 ** 20))) {
    return `values of ${length} bytes`;
  }
  return undefined;
}
