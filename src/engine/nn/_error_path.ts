import type { Module } from "./module.ts";

/** Where an error was last seen on its way up, and what it said at first. */
interface Seen {
  readonly module: Module;
  /** From that module down to the one that threw; empty for itself. */
  readonly path: string;
  readonly message: string;
}

const seen = new WeakMap<Error, Seen>();
const wrapped = new WeakSet<object>();

/**
 * Has `forward` of a class, and of the classes that it extends, say which module an error comes from: the outermost module that
 * it passes completes its message by the path from there to the one that threw, as in `… (encoder.layer.3.attention.query)`.
 *
 * @param prototype of the class.
 * @param end the prototype below which none is changed.
 */
export function nameErrors(prototype: object, end: object): void {
  for (let each = prototype; each !== end && !wrapped.has(each); each = Object.getPrototypeOf(each)) {
    wrapped.add(each);
    const forward: unknown = Object.getOwnPropertyDescriptor(each, "forward")?.value;
    if (typeof forward !== "function") continue;
    const named = {
      forward(this: Module, ...args: unknown[]): unknown {
        try {
          return forward.apply(this, args);
        } catch (error) {
          if (error instanceof TypeError || error instanceof RangeError) addModule(error, this);
          throw error;
        }
      },
    };
    Object.defineProperty(each, "forward", { value: named.forward, writable: true, configurable: true });
  }
}

/** Notes that an error has passed a module, and completes its message by the path from there. */
function addModule(error: Error, module: Module): void {
  const before = seen.get(error);
  const { message } = before ?? error;
  const name = before && nameWithin(module, before.module);
  const path = [name, before?.path].filter(Boolean).join(".");
  seen.set(error, { module, path, message });
  if (path === "") return;
  const full = `${message} (${path})`;
  if (error.stack !== undefined) error.stack = error.stack.replace(error.message, () => full);
  error.message = full;
}

function nameWithin(module: Module, part: Module): string | undefined {
  for (const [name, each] of module.namedModules()) if (each === part) return name;
  return undefined;
}
