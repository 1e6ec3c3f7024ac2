import { parquetSchema, type SchemaElement, type SchemaTree } from "hyparquet";

/** A column of values, which may be inside lists and structures. */
export interface Leaf {
  readonly element: SchemaElement;
  /** The names that lead to it; the first is that of the column of rows. */
  readonly path: readonly string[];
  /** How many lists it is inside of. */
  readonly depth: number;
}

/** The leaves of each column of rows. */
export type Columns = ReadonlyMap<string, readonly Leaf[]>;

/**
 * The columns of a schema.
 *
 * @throws {Error} saying what is wrong with it.
 */
export function readSchema(schema: readonly SchemaElement[]): Columns {
  const root = parquetSchema({ schema: [...schema] });
  if (root.count !== schema.length) throw new Error("its schema has parts that belong to no column");
  checkNames(root, "its schema");
  return new Map(root.children.map((column) => [column.element.name, [...leavesOf(column)]]));
}

function* leavesOf(node: SchemaTree, around = 0): Generator<Leaf> {
  const { element, children, path } = node;
  const depth = around + (element.repetition_type === "REPEATED" ? 1 : 0);
  const name = `column ${path.join(".")}`;
  if (children.length === 0) {
    if (element.type === undefined || element.repetition_type === undefined) {
      throw new Error(`${name} has no type`);
    }
    yield { element, path, depth };
    return;
  }
  if (element.type !== undefined) throw new Error(`${name} is both a value and a group`);
  checkNames(node, name);
  for (const child of children) yield* leavesOf(child, depth);
}

function checkNames({ children }: SchemaTree, place: string): void {
  const names = new Set<string>();
  for (const { element: { name } } of children) {
    if (!name || name === "__proto__") throw new Error(`${place} names a column "${name}"`);
    if (names.has(name)) throw new Error(`${place} has two columns named "${name}"`);
    names.add(name);
  }
}

/** The annotations of types whose values are read; hyparquet gives others in forms that JSON has no word for. */
const READABLE = new Set<string | undefined>(
  (
    "UTF8 STRING LIST ENUM JSON DATE TIME TIME_MILLIS TIME_MICROS TIMESTAMP TIMESTAMP_MILLIS TIMESTAMP_MICROS " +
    "UINT_8 UINT_16 UINT_32 UINT_64 INT_8 INT_16 INT_32 INT_64 INTEGER DECIMAL NULL UUID FLOAT16"
  ).split(" "),
);

/** Why the values of a column can't be read; undefined if they can. */
export function unreadableType({ element }: Leaf): string | undefined {
  const { type, converted_type: converted, logical_type: logical } = element;
  for (const annotation of [converted, logical?.type]) {
    if (annotation !== undefined && !READABLE.has(annotation)) return `values of type ${annotation}`;
  }
  // Without a length, hyparquet takes the bytes of such values for a number of any size.
  const isNumber = converted === "DECIMAL" || logical?.type === "UUID" || logical?.type === "FLOAT16";
  return isNumber && type === "BYTE_ARRAY"
    ? `values of type ${converted ?? logical!.type} of varying length`
    : undefined;
}
