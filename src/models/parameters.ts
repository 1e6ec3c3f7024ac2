import {
  disposeAll,
  formatShape,
  type Gpu,
  randomKey,
  RandomStream,
  sameShape,
  type Shape,
  sizeOf,
  type Tensor,
  tensor,
} from "../engine/mod.ts";
import { ParameterMismatchError } from "./errors.ts";

/** Parameters on the host, row-major, by the name they have in a checkpoint without its prefix. */
export type HostParameters = ReadonlyMap<string, { readonly shape: Shape; readonly data: Float32Array }>;

/** Parameters on the GPU, by the name they have in a checkpoint without its prefix. */
export type EncoderParameters = ReadonlyMap<string, Tensor>;

/** Names and shapes of the parameters that a model needs, in its order. */
export type ParameterShapes = ReadonlyMap<string, Shape>;

/** Options of {@linkcode checkParameters}. */
export interface CheckParametersOptions {
  /** What they are for, for messages: `the BERT encoder`. */
  readonly model: string;
  /** What else is wrong, to be listed with the rest. */
  readonly problems?: readonly string[];
}

/**
 * Compares parameters with what a model needs.
 *
 * @throws {ParameterMismatchError} listing every parameter that is missing, too many, or of another shape.
 */
export function checkParameters(
  found: ReadonlyMap<string, { readonly shape: Shape }>,
  expected: ParameterShapes,
  options: CheckParametersOptions,
): void {
  const problems: string[] = [];
  for (const [name, shape] of expected) {
    const parameter = found.get(name);
    if (parameter === undefined) problems.push(`${name} ${formatShape(shape)} is missing`);
    else if (!sameShape(parameter.shape, shape)) {
      problems.push(`${name} must be ${formatShape(shape)}, got ${formatShape(parameter.shape)}`);
    }
  }
  for (const [name, { shape }] of found) {
    if (!expected.has(name)) problems.push(`${name} ${formatShape(shape)} is not a part of it`);
  }
  problems.push(...options.problems ?? []);
  if (problems.length > 0) {
    throw new ParameterMismatchError(`Cannot build ${options.model}:\n  ${problems.join("\n  ")}`);
  }
}

/** Options of {@linkcode randomParameters}. */
export interface RandomParametersOptions {
  readonly seed: number;
  /** Keeps the numbers of two kinds of models with one seed apart, as the family's `modelType`. */
  readonly name: string;
}

/** Deviation of new weights, as in BERT's own `initializer_range`. */
const deviation = 0.02;

/** Parameters of an untrained model: normal weights of deviation 0.02, biases 0, layer normalisation the identity. */
export function randomParameters(shapes: ParameterShapes, options: RandomParametersOptions): HostParameters {
  const { seed, name: model } = options;
  return new Map(
    [...shapes].map(([name, shape]) => {
      const data = new Float32Array(sizeOf(shape));
      if (!name.endsWith(".bias")) {
        if (shape.length === 1) data.fill(1);
        else {
          const stream = new RandomStream(randomKey(seed, model, name));
          for (let i = 0; i < data.length; i++) data[i] = deviation * stream.normal();
        }
      }
      return [name, { shape, data }];
    }),
  );
}

/**
 * Copies parameters to the GPU.
 *
 * @throws {TypeError} when data don't fill their shape.
 */
export function uploadParameters(gpu: Gpu, parameters: HostParameters): Map<string, Tensor> {
  const uploaded = new Map<string, Tensor>();
  try {
    for (const [name, { shape, data }] of parameters) uploaded.set(name, tensor(gpu, data, { shape }));
  } catch (error) {
    disposeAll([...uploaded.values()]);
    throw error;
  }
  return uploaded;
}
