import { formatShape, sameShape } from "../../../engine/mod.ts";
import type { HostTensors, Shapes } from "../../../fl/mod.ts";
import {
  type ArrayRecord,
  findRecord,
  float32Array,
  type FlowerRecord,
  type FlowerRecords,
} from "../records/record.ts";
import { RefusedRunError } from "./refusal.ts";

/**
 * The record of a type, whatever its name; undefined where there is none.
 *
 * @throws {RefusedRunError} when there are several.
 */
export function findOrRefuse<T extends FlowerRecord["type"]>(records: FlowerRecords, type: T) {
  try {
    return findRecord(records, type);
  } catch (cause) {
    throw new RefusedRunError(`Cannot use the message: ${(cause as Error).message}`, { cause });
  }
}

/**
 * The arrays of a message as tensors.
 *
 * @returns undefined where there are none.
 * @throws {RefusedRunError} when one isn't of float32, or there are several records of arrays.
 */
export function readArrays(records: FlowerRecords): HostTensors | undefined {
  const record = findOrRefuse(records, "arrays");
  if (record === undefined) return undefined;
  return new Map(
    [...record.arrays].map(([name, { dtype, shape, data }]) => {
      if (!(data instanceof Float32Array)) {
        throw new RefusedRunError(
          `Cannot use the array ${name}: expected float32, got ${dtype}; convert it at the server`,
        );
      }
      return [name, { shape, data }];
    }),
  );
}

/** Tensors as a record of arrays, in their order. */
export function arrayRecord(tensors: HostTensors): ArrayRecord {
  return {
    type: "arrays",
    arrays: new Map([...tensors].map(([name, { shape, data }]) => [name, float32Array(shape, data)])),
  };
}

/** Bytes of the values of tensors. */
export function bytesOf(tensors: HostTensors): number {
  return [...tensors.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
}

/** Options of {@linkcode checkDownload}. */
export interface CheckDownloadOptions {
  /** The names that must come. */
  readonly shared: Iterable<string>;
  /** The shapes of all parameters. */
  readonly shapes: Shapes;
  /** Whether corrections of frozen weights may come beside parameters. */
  readonly isCorrected: boolean;
}

/**
 * Checks names, shapes and values of what a server sent: nothing that is meant for another model is trained without a word.
 *
 * @throws {RefusedRunError} naming the first array that is missing, unknown, of another shape or not finite.
 */
export function checkDownload(
  arrays: HostTensors,
  { shared, shapes, isCorrected }: CheckDownloadOptions,
): void {
  for (const name of shared) {
    if (arrays.has(name)) continue;
    throw new RefusedRunError(
      `Cannot use the server's arrays: ${name} of shape ${formatShape(shapes.get(name)!)} is missing, got ${
        [...arrays.keys()].slice(0, 3).join(", ") || "none"
      }${
        arrays.size > 3 ? " …" : ""
      }; send the values by federa's names, as those that a node answers a query with`,
    );
  }
  for (const [name, { shape, data }] of arrays) {
    const [, layer, factor] = isCorrected ? /^(.+)\.correction\.[1-9]\d{0,6}\.([ab])$/.exec(name) ?? [] : [];
    const expected = layer === undefined ? shapes.get(name) : factorShape(shapes.get(`${layer}.weight`), {
      factor: factor as "a" | "b",
      shape,
    });
    if (expected === undefined) {
      throw new RefusedRunError(
        `Cannot use the server's array ${name}: this model has no such parameter; send what its method trains`,
      );
    }
    if (!sameShape(shape, expected)) {
      throw new RefusedRunError(
        `Cannot use the server's array ${name}: expected shape ${formatShape(expected)}, got ${
          formatShape(shape)
        }; give all the same model, rank and labels`,
      );
    }
    const odd = data.findIndex((value) => !Number.isFinite(value));
    if (odd >= 0) {
      throw new RefusedRunError(
        `Cannot use the server's array ${name}: it holds ${
          data[odd]
        } at element ${odd}, expected finite numbers`,
      );
    }
  }
}

/** A factor a [k, in] or b [out, k] of the correction of a weight [out, in], for any k. */
function factorShape(
  weight: readonly number[] | undefined,
  { factor, shape }: { readonly factor: "a" | "b"; readonly shape: readonly number[] },
): readonly number[] | undefined {
  if (weight === undefined || shape.length !== 2) return weight;
  return factor === "a" ? [shape[0]!, weight[1]!] : [weight[0]!, shape[1]!];
}
