import { Tensor } from "../tensor.ts";
import { nameErrors } from "./_error_path.ts";

/**
 * A piece of a model: its parameters are the tensors among its fields, its children the modules among them (also in
 * arrays), each under the field's name joined by dots, as in `layers.0.attention.qkv.weight`.
 *
 * Modules are immutable: {@linkcode Module.mapModules} and {@linkcode Module.mapParameters} return a changed copy of the
 * tree that shares every tensor that wasn't replaced. So several variants of one model can use one set of frozen weights.
 * Subclasses keep all state in ordinary fields, which are copied.
 */
export abstract class Module {
  constructor() {
    nameErrors(new.target.prototype, Module.prototype);
  }

  /** Names and tensors of all parameters, in field order. */
  *namedParameters(prefix = ""): Generator<[string, Tensor]> {
    for (const [name, value] of fields(this, prefix)) {
      if (value instanceof Tensor) yield [name, value];
      else if (value instanceof Module) yield* value.namedParameters(name);
    }
  }

  /** Names and modules of the tree below, this one first under the prefix itself. */
  *namedModules(prefix = ""): Generator<[string, Module]> {
    yield [prefix, this];
    for (const [name, value] of fields(this, prefix)) {
      if (value instanceof Module) yield* value.namedModules(name);
    }
  }

  /** A copy whose modules are replaced by the results of `replace`, which is called for children before their parents. */
  mapModules(replace: (name: string, module: Module) => Module, prefix = ""): this {
    return rebuild(
      this,
      prefix,
      (name, value) => value instanceof Module ? replace(name, value.mapModules(replace, name)) : value,
    );
  }

  /** A copy whose parameters are replaced by the results of `replace`. */
  mapParameters(replace: (name: string, parameter: Tensor) => Tensor, prefix = ""): this {
    return rebuild(this, prefix, (name, value) => {
      if (value instanceof Tensor) return replace(name, value);
      return value instanceof Module ? value.mapParameters(replace, name) : value;
    });
  }
}

/** Fields by dotted name, arrays of modules spread out. */
function* fields(module: Module, prefix: string): Generator<[string, unknown]> {
  for (const [key, value] of Object.entries(module)) {
    const name = prefix ? `${prefix}.${key}` : key;
    if (Array.isArray(value)) { for (const [i, item] of value.entries()) yield [`${name}.${i}`, item]; }
    else yield [name, value];
  }
}

function rebuild<M extends Module>(
  module: M,
  prefix: string,
  replace: (name: string, value: unknown) => unknown,
): M {
  const copy: Record<string, unknown> = Object.create(Object.getPrototypeOf(module));
  for (const [key, value] of Object.entries(module)) {
    const name = prefix ? `${prefix}.${key}` : key;
    copy[key] = Array.isArray(value)
      ? value.map((item, i) => replace(`${name}.${i}`, item))
      : replace(name, value);
  }
  return copy as unknown as M;
}
