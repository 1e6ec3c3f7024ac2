import type { Shape } from "../../engine/mod.ts";
import { CorruptFileError } from "../../data/errors.ts";
import { describeIssue } from "../../data/text/describe_issue.ts";
import type { StoredTensor } from "../../models/weights/dtype.ts";
import { encodeSafetensors, readSafetensors } from "../../models/weights/safetensors.ts";
import { adapterKinds, type AdapterSettings, type AnyAdapterKind, lowRankKind } from "../kinds/mod.ts";

/** The metadata key `format` of adapter files. */
const format = "federa-adapter";

/**
 * Versions of the format. A file of plain low-rank layers is of the first; one with other kinds, which readers of the first would take
 * for something else, is of the second.
 */
const versions = ["1", "2"] as const;

/** A float32 tensor on the host. */
export type HostTensor = Extract<StoredTensor, { readonly dtype: "F32" }>;

/** One adapted module of a file. */
export interface AdapterEntry {
  readonly kind: AnyAdapterKind;
  readonly settings: AdapterSettings;
  /** Identifies the pretrained module. */
  readonly fingerprint: string;
}

/** What an adapter file holds. */
export interface AdapterContents {
  /** Adapted modules by name. */
  readonly adapters: ReadonlyMap<string, AdapterEntry>;
  /** All tensors by name. */
  readonly tensors: ReadonlyMap<string, HostTensor>;
}

/** The bytes of a file. */
export function writeAdapter({ adapters, tensors }: AdapterContents): Uint8Array<ArrayBuffer> {
  const isPlain = [...adapters.values()].every(({ kind }) => kind === lowRankKind);
  const metadata: Record<string, string> = { format, version: versions[isPlain ? 0 : 1] };
  for (const [name, { kind, settings, fingerprint }] of adapters) {
    if (kind !== lowRankKind) metadata[`${name}.kind`] = kind.name;
    for (const [key, value] of Object.entries(settings)) metadata[`${name}.${key}`] = JSON.stringify(value);
    metadata[`${name}.fingerprint`] = fingerprint;
  }
  return encodeSafetensors(tensors, metadata);
}

/**
 * Reads an adapter file and checks it against itself.
 *
 * @throws {CorruptFileError} naming what is wrong with it.
 */
export function readAdapter(bytes: Uint8Array): AdapterContents {
  const { tensors: stored, metadata } = readSafetensors(bytes);
  if (metadata["format"] !== format) {
    throw corrupt(`its format must be ${format}, got ${show(metadata["format"])}`);
  }
  const version = metadata["version"];
  if (!versions.some((each) => each === version)) {
    throw corrupt(`its version must be ${versions.join(" or ")}, got ${show(version)}`);
  }
  const tensors = new Map([...stored].map(([name, each]) => [name, checkValues(name, each)]));
  const adapters = new Map<string, AdapterEntry>();
  for (const [name, { kind: named, fingerprint = "", ...texts }] of fieldsByModule(metadata)) {
    if (named === undefined && texts["scaling"] === undefined) continue;
    const kind = adapterKinds.get(named ?? lowRankKind.name);
    if (kind === undefined) {
      throw corrupt(
        `the kind of ${name} must be one of ${[...adapterKinds.keys()].join(", ")}, got ${show(named)}`,
      );
    }
    const settings = readSettings(name, kind, texts);
    const problem = kind.check?.({ name, settings, shapes: shapesWithin(name, tensors) });
    if (problem !== undefined) throw corrupt(problem);
    adapters.set(name, { kind, settings, fingerprint });
  }
  if (adapters.size === 0) throw corrupt("it adapts no layer");
  return { adapters, tensors };
}

/** Tensors or shapes of a module, by their names within it. */
export function within<Value>(module: string, all: Iterable<readonly [string, Value]>): Map<string, Value> {
  return new Map(
    [...all].flatMap(([name, value]): [string, Value][] =>
      name.startsWith(`${module}.`) ? [[name.slice(module.length + 1), value]] : []
    ),
  );
}

/** Shapes of the tensors of a module, by their names within it. */
export function shapesWithin(
  module: string,
  all: Iterable<readonly [string, { readonly shape: Shape }]>,
): Map<string, Shape> {
  return new Map([...within(module, all)].map(([name, { shape }]) => [name, shape]));
}

/** The fields of each module, which are named after it. */
function fieldsByModule(metadata: Readonly<Record<string, string>>): Map<string, Record<string, string>> {
  const fields = new Map<string, Record<string, string>>();
  for (const [key, value] of Object.entries(metadata)) {
    const dot = key.lastIndexOf(".");
    if (dot < 0) continue;
    const name = key.slice(0, dot);
    fields.set(name, { ...fields.get(name), [key.slice(dot + 1)]: value });
  }
  return fields;
}

/** The settings of a module out of their texts, each the JSON of a value. */
function readSettings(
  name: string,
  { settings }: AnyAdapterKind,
  texts: Readonly<Record<string, string>>,
): AdapterSettings {
  const values = Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, parse(text)]));
  const { success, data, error } = settings.safeParse(values, {
    error: (issue) => describeIssue(issue, (value) => show(value === undefined ? undefined : String(value))),
  });
  if (success) return data;
  const [{ path: [key], message }] = error.issues as [(typeof error.issues)[number]];
  throw corrupt(key === undefined ? `of ${name}: ${message}` : `the ${String(key)} of ${name}: ${message}`);
}

/** The value of a JSON text; the text itself where it's none, which no setting is. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { text, toString: () => text };
  }
}

function checkValues(name: string, stored: StoredTensor): HostTensor {
  if (stored.dtype !== "F32") throw corrupt(`${show(name)} must be F32, got ${stored.dtype}`);
  const bad = stored.data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw corrupt(`element ${bad} of ${show(name)} is ${stored.data[bad]}`);
  return stored;
}

function corrupt(what: string): CorruptFileError {
  return new CorruptFileError(`Cannot read an adapter file: ${what}`);
}

/** Text of a file for a message, cut short. */
function show(text: string | undefined): string {
  return text === undefined ? "none" : JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
