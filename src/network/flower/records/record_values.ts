import { FlowerFormatError } from "../errors.ts";
import { flowerProto, type Proto } from "../wire/flower_proto.ts";
import type { ConfigValue, MetricValue } from "./record.ts";

type ConfigProto = NonNullable<Proto<"ConfigItem">["value"]>["value"];
type MetricProto = NonNullable<Proto<"MetricItem">["value"]>["value"];

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;

/**
 * Bytes of a MetricRecord.
 *
 * @throws {TypeError} a value is none of a metric's types.
 * @throws {RangeError} an integer doesn't fit 64 bits.
 */
export function encodeMetrics(values: ReadonlyMap<string, MetricValue>): Uint8Array {
  const items = [...values].map(([key, value]) => ({ key, value: { value: metricProto(key, value) } }));
  return flowerProto.encode("MetricRecord", { items });
}

/** Bytes of a ConfigRecord; throws as {@linkcode encodeMetrics} does. */
export function encodeConfig(values: ReadonlyMap<string, ConfigValue>): Uint8Array {
  const items = [...values].map(([key, value]) => ({ key, value: { value: configProto(key, value) } }));
  return flowerProto.encode("ConfigRecord", { items });
}

/**
 * Reads a MetricRecord.
 *
 * @throws {FlowerFormatError} two values have one name, or one has no type that is known.
 * @throws {Error} the bytes aren't protobuf.
 */
export function decodeMetrics(bytes: Uint8Array): Map<string, MetricValue> {
  return decodeItems<MetricValue>("metrics", flowerProto.decode("MetricRecord", bytes).items);
}

/** Reads a ConfigRecord; throws as {@linkcode decodeMetrics} does. */
export function decodeConfig(bytes: Uint8Array): Map<string, ConfigValue> {
  return decodeItems<ConfigValue>("settings", flowerProto.decode("ConfigRecord", bytes).items);
}

function decodeItems<V extends ConfigValue>(
  what: string,
  items: readonly { key: string; value: { value: ConfigProto | MetricProto } | undefined }[],
): Map<string, V> {
  const values = new Map<string, V>();
  for (const { key, value } of items) {
    if (values.has(key)) {
      throw new FlowerFormatError(`Cannot read ${what}: ${JSON.stringify(key)} is there twice`);
    }
    const member = value?.value;
    if (member?.case === undefined) {
      throw new FlowerFormatError(`Cannot read ${what}: ${JSON.stringify(key)} has no value of a known type`);
    }
    const held = member.value;
    // Bytes are copied: what was read is a view of the whole object.
    const plain = held instanceof Uint8Array
      ? new Uint8Array(held)
      : typeof held === "object"
      ? listOf(held.vals)
      : held;
    values.set(key, plain as V);
  }
  return values;
}

function listOf(values: readonly (number | bigint | boolean | string | Uint8Array)[]) {
  return values.map((value) => value instanceof Uint8Array ? new Uint8Array(value) : value);
}

function metricProto(name: string, value: MetricValue): MetricProto {
  if (!Array.isArray(value)) return numberProto(name, value as number | bigint);
  // Python takes an empty list for one of integers.
  return value.length === 0 ? { case: "sintList", value: { vals: [] } } : numbersProto(name, value);
}

function configProto(name: string, value: ConfigValue): ConfigProto {
  if (typeof value === "boolean") return { case: "bool", value };
  if (typeof value === "string") return { case: "string", value };
  if (value instanceof Uint8Array) return { case: "bytes", value };
  if (!Array.isArray(value)) return numberProto(name, value as number | bigint);
  const isAll = (test: (each: unknown) => boolean) => value.every(test);
  // Python takes an empty list for one of truth values.
  if (isAll((each) => typeof each === "boolean")) return { case: "boolList", value: { vals: value } };
  if (isAll((each) => typeof each === "string")) return { case: "stringList", value: { vals: value } };
  if (isAll((each) => each instanceof Uint8Array)) return { case: "bytesList", value: { vals: value } };
  return numbersProto(name, value);
}

function numberProto(name: string, value: number | bigint) {
  if (typeof value === "number") return { case: "double", value } as const;
  if (typeof value !== "bigint") throw wrongType(name, value);
  checkFits(name, value);
  return value > INT64_MAX ? { case: "uint64", value } as const : { case: "sint64", value } as const;
}

function numbersProto(name: string, values: readonly unknown[]) {
  if (values.every((each) => typeof each === "number")) {
    return { case: "doubleList", value: { vals: values } } as const;
  }
  if (!values.every((each) => typeof each === "bigint")) throw wrongType(name, values);
  for (const value of values) checkFits(name, value);
  if (!values.some((value) => value > INT64_MAX)) {
    return { case: "sintList", value: { vals: values } } as const;
  }
  const negative = values.find((value) => value < 0n);
  if (negative !== undefined) {
    throw new RangeError(
      `Cannot write the list ${name}: expected integers of one sign beside those over 2⁶³ − 1, got ${negative}`,
    );
  }
  return { case: "uintList", value: { vals: values } } as const;
}

function checkFits(name: string, value: bigint): void {
  if (value < INT64_MIN || value > UINT64_MAX) {
    throw new RangeError(`Cannot write ${name}: expected an integer from −2⁶³ to 2⁶⁴ − 1, got ${value}`);
  }
}

function wrongType(name: string, value: unknown): TypeError {
  const found = Array.isArray(value)
    ? `a list of ${[...new Set(value.map((each) => each === null ? "null" : typeof each))].join(" and ")}`
    : value === null
    ? "null"
    : typeof value;
  return new TypeError(
    `Cannot write ${name}: expected a number (double), a bigint (integer), a value that its record takes, or a list of one of them, got ${found}`,
  );
}
