import type { Tensor } from "./tensor.ts";

/** Tensors made in a {@linkcode tidy}, and the scope around it. */
interface Scope {
  readonly tensors: Set<Tensor>;
  readonly outer: Scope | null;
}

let scope: Scope | null = null;

/** Puts a new tensor into the innermost scope. */
export function track(tensor: Tensor): void {
  scope?.tensors.add(tensor);
}

/** Takes a tensor out of the scope that holds it. */
export function untrack(tensor: Tensor): void {
  let each = scope;
  while (each !== null && !each.tensors.delete(tensor)) each = each.outer;
}

/**
 * Runs `body` and disposes every tensor it made, except those in its result (a tensor, or arrays, maps and plain
 * objects of them), which pass to the scope around.
 *
 * @throws {TypeError} when `body` is asynchronous, as it would dispose tensors of other code too.
 * @example
 * ```ts
 * const x = tensor(gpu, [3, 4]);
 * using norm = tidy(() => sqrt(sum(mul(x, x))));
 * console.log(await norm.data()); // 5
 * ```
 */
export function tidy<T>(body: () => T): T {
  const outer = scope;
  const inner = new Set<Tensor>();
  scope = { tensors: inner, outer };
  let kept: Set<Tensor> | null = null;
  try {
    const result = body();
    if (result instanceof Promise) {
      throw new TypeError("Cannot tidy an asynchronous body: return tensors and await outside");
    }
    kept = new Set();
    collect(result, kept);
    return result;
  } finally {
    scope = outer;
    for (const tensor of inner) {
      if (kept?.has(tensor)) outer?.tensors.add(tensor);
      else tensor.dispose();
    }
  }
}

/** Takes a tensor out of the scope in which it was made; the caller disposes it. */
export function keep(tensor: Tensor): Tensor {
  untrack(tensor);
  return tensor;
}

/** Disposes several tensors. */
export function disposeAll(tensors: Iterable<Tensor>): void {
  for (const tensor of tensors) tensor.dispose();
}

/** Adds the tensors in a value to a set. */
function collect(value: unknown, found: Set<Tensor>): void {
  if (typeof value !== "object" || value === null) return;
  if ("storage" in value && "gpu" in value) found.add(value as Tensor);
  else if (Array.isArray(value) || value instanceof Set) { for (const item of value) collect(item, found); }
  else if (value instanceof Map) { for (const item of value.values()) collect(item, found); }
  else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const item of Object.values(value)) collect(item, found);
  }
}
