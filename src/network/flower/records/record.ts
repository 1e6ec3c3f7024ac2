/** Element types of arrays that are read, by their name in NumPy; what is sent is `float32`. */
export type DtypeName =
  | "float16"
  | "float32"
  | "float64"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "bool";

/** Elements of an array, as wide as its {@linkcode DtypeName}; `float16` is widened to 32 bits and `bool` is 0 or 1 in 8. */
export type FlowerArrayData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array;

/** An array of an {@linkcode ArrayRecord}, row-major; `[]` is the shape of a scalar. */
export interface FlowerArray {
  readonly dtype: DtypeName;
  readonly shape: readonly number[];
  readonly data: FlowerArrayData;
}

/** A number of a record: a `bigint` is Flower's integer, from −2⁶³ to 2⁶⁴ − 1, and a `number` its double, even where it is whole. */
export type FlowerNumber = number | bigint;

/** A value of a {@linkcode MetricRecord}. A list has one type of elements; an empty one has none. */
export type MetricValue = FlowerNumber | readonly number[] | readonly bigint[];

/** A value of a {@linkcode ConfigRecord}. A list has one type of elements; an empty one has none. */
export type ConfigValue =
  | MetricValue
  | boolean
  | string
  | Uint8Array
  | readonly boolean[]
  | readonly string[]
  | readonly Uint8Array[];

/** Named arrays in the order that everybody keeps: parameters of a model. */
export interface ArrayRecord {
  readonly type: "arrays";
  readonly arrays: ReadonlyMap<string, FlowerArray>;
}

/** Named numbers and lists of numbers, such as `num-examples`. */
export interface MetricRecord {
  readonly type: "metrics";
  readonly values: ReadonlyMap<string, MetricValue>;
}

/** Named settings, such as `server-round`. */
export interface ConfigRecord {
  readonly type: "config";
  readonly values: ReadonlyMap<string, ConfigValue>;
}

/** A record of a message. */
export type FlowerRecord = ArrayRecord | MetricRecord | ConfigRecord;

/** The records of a message by name, in order: Flower's RecordDict. Servers choose the names, so look records up by type. */
export type FlowerRecords = ReadonlyMap<string, FlowerRecord>;

/**
 * The record of a type, whatever its name.
 *
 * @returns undefined if there is none.
 * @throws {RangeError} if there are several, by their names.
 *
 * @example
 * ```ts
 * const records = new Map([["config", { type: "config", values: new Map([["server-round", 1n]]) } as const]]);
 * findRecord(records, "config")?.values.get("server-round"); // 1n
 * ```
 */
export function findRecord<T extends FlowerRecord["type"]>(
  records: FlowerRecords,
  type: T,
): Extract<FlowerRecord, { readonly type: T }> | undefined {
  const found = [...records].filter(([, record]) => record.type === type);
  if (found.length > 1) {
    const names = found.map(([name]) => name).join(", ");
    throw new RangeError(
      `Cannot find the record of type ${type}: expected one, got ${found.length} (${names})`,
    );
  }
  return found[0]?.[1] as Extract<FlowerRecord, { readonly type: T }> | undefined;
}

/**
 * An array of float32, which is what is sent.
 *
 * @throws {RangeError} if the shape and the number of elements disagree.
 *
 * @example
 * ```ts
 * float32Array([2, 1], new Float32Array([1, 2])).dtype; // "float32"
 * ```
 */
export function float32Array(shape: readonly number[], data: Float32Array): FlowerArray {
  const size = shape.reduce((product, length) => product * length, 1);
  if (size !== data.length) {
    throw new RangeError(
      `Cannot make an array of shape [${shape.join(", ")}]: expected ${size} elements, got ${data.length}`,
    );
  }
  return { dtype: "float32", shape, data };
}
