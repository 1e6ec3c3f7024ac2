import { disposeAll, reshape, type Shape, sub, type Tensor, tensor, zeros } from "../engine/mod.ts";
import type { Gpu } from "../engine/mod.ts";
import type { TaskModel } from "../tasks/mod.ts";

/** Tensors by name. */
export type Tensors = ReadonlyMap<string, Tensor>;
/** Shapes by name. */
export type Shapes = ReadonlyMap<string, Shape>;

/** A tensor on the host, row-major. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}
/** Host tensors by name. */
export type HostTensors = ReadonlyMap<string, HostTensor>;

/** The shape of each tensor. */
export function shapesOf(tensors: ReadonlyMap<string, { readonly shape: Shape }>): Map<string, Shape> {
  return new Map([...tensors].map(([name, { shape }]) => [name, shape]));
}

/** A zero tensor for each shape. */
export function zeroTensors(gpu: Gpu, shapes: Shapes): Map<string, Tensor> {
  return new Map([...shapes].map(([name, shape]) => [name, zeros(gpu, shape)]));
}

/**
 * The tensors of some names, in the order of the names.
 *
 * @throws {TypeError} when one is missing.
 */
export function pick(tensors: Tensors, names: Iterable<string>): Map<string, Tensor> {
  return new Map([...names].map((name) => [name, take(tensors, name)]));
}

/**
 * The tensor of a name.
 *
 * @throws {TypeError} when it is missing.
 */
export function take(tensors: Tensors, name: string): Tensor {
  const found = tensors.get(name);
  if (found === undefined) {
    throw new TypeError(
      `Cannot find ${name}: got ${[...tensors.keys()].slice(0, 8).join(", ") || "nothing"}`,
    );
  }
  return found;
}

/** Tensors of which some have new values; others among these are left out. */
export function updated(tensors: Tensors, values: Tensors): Map<string, Tensor> {
  return new Map([...tensors].map(([name, each]) => [name, values.get(name) ?? each]));
}

/** One tensor out of each pair of the same name. */
export function zip(a: Tensors, b: Tensors, combine: (x: Tensor, y: Tensor) => Tensor): Map<string, Tensor> {
  return new Map([...a].map(([name, x]) => [name, combine(x, take(b, name))]));
}

/** y − x of values y with a start x of the same name, and the others as they are. */
export function changesSince(start: Tensors, values: Tensors): Map<string, Tensor> {
  return new Map([...values].map(([name, y]) => {
    const x = start.get(name);
    return [name, x === undefined ? y : sub(y, x)];
  }));
}

/** Tensors, or their shapes, under new names with a prefix. */
export function prefixed<T>(prefix: string, named: ReadonlyMap<string, T>): Map<string, T> {
  return new Map([...named].map(([name, each]) => [`${prefix}${name}`, each]));
}

/** The tensors whose names begin with a prefix, under the rest of their names. */
export function withoutPrefix(prefix: string, tensors: Tensors): Map<string, Tensor> {
  return new Map(
    [...tensors].flatMap(([name, each]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), each]] : []
    ),
  );
}

/** Copies of tensors on the host. */
export async function toHost(tensors: Tensors): Promise<Map<string, HostTensor>> {
  const reads = [...tensors].map(async ([name, each]) =>
    [name, { shape: each.shape, data: await each.floats() }] as const
  );
  return new Map(await Promise.all(reads));
}

/** Host tensors on a device; the caller disposes them. */
export function toDevice(gpu: Gpu, tensors: HostTensors): Map<string, Tensor> {
  const made = new Map<string, Tensor>();
  try {
    for (const [name, { data, shape }] of tensors) made.set(name, tensor(gpu, data, { shape }));
    return made;
  } catch (error) {
    disposeTensors(made);
    throw error;
  }
}

/** One member of tensors with a client axis, [C, ...] to [...]. */
export function hostMember(tensors: HostTensors, member: number, members: number): Map<string, HostTensor> {
  return new Map([...tensors].map(([name, { shape, data }]) => {
    const size = data.length / members;
    return [name, { shape: shape.slice(1), data: data.slice(member * size, (member + 1) * size) }];
  }));
}

/** One number of each member, [C], in the shape [C, 1, ...] that goes with x [C, ...]. */
export function perMember(numbers: Tensor, { ndim }: Tensor): Tensor {
  return reshape(numbers, [numbers.size, ...new Array<number>(ndim - 1).fill(1)]);
}

/** Frees tensors. */
export function disposeTensors(tensors: Tensors): void {
  disposeAll(tensors.values());
}

/** A copy of a model with other values for the parameters that are named. */
export function withParameters(model: TaskModel, values: Tensors): TaskModel {
  return model.mapParameters((name, parameter) => values.get(name) ?? parameter);
}
