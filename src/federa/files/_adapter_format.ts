import { formatShape, sameShape } from "../../engine/mod.ts";
import { CorruptFileError } from "../../data/errors.ts";
import type { StoredTensor } from "../../models/weights/dtype.ts";
import { readSafetensors } from "../../models/weights/safetensors.ts";

/** The metadata key `format` of adapter files, and the version this code writes. */
export const format = { format: "federa-adapter", version: "1" } as const;

/** A float32 tensor on the host. */
export type HostTensor = Extract<StoredTensor, { readonly dtype: "F32" }>;

/** One adapted layer of a file. */
export interface AdapterEntry {
  readonly loraA: HostTensor;
  readonly loraB: HostTensor;
  /** A₀ and B₀, where they were taken out of the pretrained weight. */
  readonly initial: { readonly loraA: HostTensor; readonly loraB: HostTensor } | undefined;
  /** s = alpha / r. */
  readonly scaling: number;
  /** {@linkcode fingerprint} of the pretrained weight. */
  readonly fingerprint: string;
}

/** What an adapter file holds. */
export interface AdapterContents {
  /** Adapted layers by name. */
  readonly adapters: ReadonlyMap<string, AdapterEntry>;
  /** Other parameters that the file replaces, by name. */
  readonly parameters: ReadonlyMap<string, HostTensor>;
}

/** SHA-256 of a tensor's bytes in hexadecimal; the shape is compared apart. */
export function fingerprint(values: Float32Array): Promise<string> {
  return digest(values as Float32Array<ArrayBuffer>);
}

/** SHA-256 in hexadecimal. */
export async function digest(bytes: BufferSource): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Reads an adapter file and checks it against itself.
 *
 * @throws {CorruptFileError} naming what is wrong with it.
 */
export function readAdapter(bytes: Uint8Array): AdapterContents {
  const { tensors, metadata } = readSafetensors(bytes);
  if (metadata["format"] !== format.format) {
    throw corrupt(`its format must be ${format.format}, got ${show(metadata["format"])}`);
  }
  if (metadata["version"] !== format.version) {
    throw corrupt(`its version must be ${format.version}, got ${show(metadata["version"])}`);
  }
  const parameters = new Map([...tensors].map(([name, stored]) => [name, checkValues(name, stored)]));
  const take = (name: string) => {
    const found = parameters.get(name);
    parameters.delete(name);
    return found;
  };
  const names = Object.keys(metadata).filter((key) => key.endsWith(".scaling")).map((key) =>
    key.slice(0, -".scaling".length)
  );
  if (names.length === 0) throw corrupt("it adapts no layer");
  const adapters = new Map(names.map((name) => {
    const factors = pair(name, take(`${name}.loraA`), take(`${name}.loraB`));
    if (factors === undefined) throw corrupt(`it lacks ${name}.loraA and ${name}.loraB`);
    const initial = pair(name, take(`${name}.initialA`), take(`${name}.initialB`));
    if (
      initial &&
      !(sameShape(initial.loraA.shape, factors.loraA.shape) &&
        sameShape(initial.loraB.shape, factors.loraB.shape))
    ) {
      throw corrupt(`the initial factors of ${name} must be shaped as the trained ones`);
    }
    const scaling = Number(metadata[`${name}.scaling`] || NaN);
    if (!(scaling > 0 && Number.isFinite(scaling))) {
      throw corrupt(
        `the scaling of ${name} must be a positive number, got ${show(metadata[`${name}.scaling`])}`,
      );
    }
    return [name, {
      ...factors,
      initial,
      scaling,
      fingerprint: metadata[`${name}.fingerprint`] ?? "",
    }] as const;
  }));
  return { adapters, parameters };
}

function pair(name: string, loraA: HostTensor | undefined, loraB: HostTensor | undefined) {
  if (loraA === undefined && loraB === undefined) return undefined;
  if (loraA === undefined || loraB === undefined) {
    throw corrupt(`it holds only one of the two factors of ${name}`);
  }
  const rank = loraA.shape[0];
  if (loraA.shape.length !== 2 || loraB.shape.length !== 2 || loraB.shape[1] !== rank || rank === 0) {
    throw corrupt(
      `the factors of ${name} must be [r, in] and [out, r], got ${formatShape(loraA.shape)} and ${
        formatShape(loraB.shape)
      }`,
    );
  }
  return { loraA, loraB };
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
