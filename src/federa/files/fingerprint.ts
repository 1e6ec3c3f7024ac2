import {
  embedding,
  formatShape,
  type Module,
  type Tensor,
  tensor,
  tidy,
  unrounded,
} from "../../engine/mod.ts";
import { digest } from "./digest.ts";
import { floatsOf } from "./pretrained.ts";

/** Rows of a matrix that are read. */
const numRows = 64;

/**
 * Identifies a model's parameters: SHA-256, in hexadecimal, of their names and shapes, all values of vectors, and 64 evenly
 * spaced rows of each matrix. Training or converting a model again changes it; a single row that was changed by hand may not.
 * It reads a few megabytes from the device; reading all of a large model takes seconds.
 *
 * @example
 * ```ts no-run
 * await fingerprintOf(encoder); // "9f86d081…", 64 digits
 * ```
 */
export async function fingerprintOf(module: Module): Promise<string> {
  return await digestOf([...module.namedParameters()].map(lineOf));
}

/**
 * The same of a part of a model, whatever precision it is stored in: of the values that its parameters were rounded from, where these
 * can be read again.
 *
 * @param options.isSorted whether parameters are taken by the order of their names, for programs that know no other; in model order by
 *   default.
 */
export async function moduleFingerprint(
  module: Module,
  { isSorted = false }: { readonly isSorted?: boolean } = {},
): Promise<string> {
  const parameters = [...module.namedParameters()];
  if (isSorted) parameters.sort(([a], [b]) => a < b ? -1 : 1);
  return await digestOf(
    parameters.map(async ([name, parameter]) => {
      using whole = await unrounded(parameter);
      return await lineOf([name, whole]);
    }),
  );
}

async function lineOf([name, parameter]: readonly [string, Tensor]): Promise<string> {
  using sample = sampleOf(parameter);
  const values = await floatsOf(sample) as Float32Array<ArrayBuffer>;
  return `${name} ${formatShape(parameter.shape)} ${await digest(values)}\n`;
}

async function digestOf(lines: readonly Promise<string>[]): Promise<string> {
  return await digest(new TextEncoder().encode((await Promise.all(lines)).join("")));
}

function sampleOf(parameter: Tensor): Tensor {
  const { shape: [rows = 0], ndim, gpu } = parameter;
  if (ndim !== 2 || rows <= numRows) return parameter.detach();
  const ids = Uint32Array.from({ length: numRows }, (_, i) => Math.floor(i * (rows - 1) / (numRows - 1)));
  return tidy(() => embedding(parameter, tensor(gpu, ids)));
}
