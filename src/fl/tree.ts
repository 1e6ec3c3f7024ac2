import { disposeAll, type Gpu, Tensor, tensor } from "../engine/mod.ts";
import { CorruptFileError } from "../data/errors.ts";
import type { HostTensor, HostTensors, Tensors } from "./tensors.ts";

/**
 * What a run must keep to go on with the same bits: tensors, host arrays and plain values, nothing else. Tensors are f32;
 * numbers are finite.
 */
export type Tree =
  | Tensor
  | Float32Array
  | number
  | string
  | boolean
  | null
  | Tensors
  | readonly Tree[]
  | { readonly [key: string]: Tree };

/** All tensors in a tree. */
export function* tensorsOf(tree: Tree): Generator<Tensor> {
  if (tree instanceof Tensor) yield tree;
  else if (tree === null || typeof tree !== "object" || tree instanceof Float32Array) return;
  else if (tree instanceof Map) { for (const each of (tree as Tensors).values()) yield each; }
  else for (const each of Object.values(tree as Record<string, Tree>)) yield* tensorsOf(each);
}

/** Frees the tensors of a tree, except those that are in another one too. */
export function disposeTree(tree: Tree, kept: Tree = null): void {
  const stay = new Set(tensorsOf(kept));
  for (const each of new Set(tensorsOf(tree))) if (!stay.has(each)) each.dispose();
}

/** A tree as JSON and host tensors. */
export interface EncodedTree {
  /** The structure; tensors stand in it by their names in `tensors`. */
  readonly structure: unknown;
  readonly tensors: HostTensors;
}

/**
 * Takes a tree apart for storage. Equal trees give equal parts.
 *
 * @throws {TypeError} for a tensor that isn't f32, or a number that isn't finite.
 */
export async function encodeTree(tree: Tree): Promise<EncodedTree> {
  const reads: Promise<HostTensor>[] = [];
  const add = (read: Promise<HostTensor>) => String(reads.push(read) - 1);
  const walk = (node: Tree): unknown => {
    if (node instanceof Tensor) {
      const { shape } = node;
      return ["tensor", add(node.floats().then((data) => ({ shape, data })))];
    }
    if (node instanceof Float32Array) {
      return ["array", add(Promise.resolve({ shape: [node.length], data: node }))];
    }
    if (typeof node === "number" && !Number.isFinite(node)) {
      throw new TypeError(`Cannot store the number ${node}: expected a finite one`);
    }
    if (node === null || typeof node !== "object") return node;
    if (Array.isArray(node)) return ["list", node.map(walk)];
    if (node instanceof Map) return ["map", [...(node as Tensors)].map(([name, each]) => [name, walk(each)])];
    return ["object", Object.entries(node as Record<string, Tree>).map(([key, each]) => [key, walk(each)])];
  };
  const structure = walk(tree);
  const tensors = await Promise.all(reads);
  return { structure, tensors: new Map(tensors.map((each, i) => [String(i), each])) };
}

/**
 * The tree that {@linkcode encodeTree} took apart, its tensors on a device.
 *
 * @throws {CorruptFileError} when structure and tensors don't fit together.
 */
export function decodeTree(gpu: Gpu, { structure, tensors }: EncodedTree): Tree {
  const find = (name: unknown) => {
    const found = typeof name === "string" ? tensors.get(name) : undefined;
    if (found === undefined) {
      throw new CorruptFileError(`Cannot read a state: it lacks tensor ${String(name)}`);
    }
    return found;
  };
  const made: Tensor[] = [];
  const walk = (node: unknown): Tree => {
    if (!Array.isArray(node)) {
      if (node !== null && typeof node === "object") {
        throw new CorruptFileError("Cannot read a state: expected lists and plain values, got an object");
      }
      return node as Tree;
    }
    const [kind, content] = node as [string, unknown];
    const entries = () => content as [string, unknown][];
    switch (kind) {
      case "tensor": {
        const { data, shape } = find(content);
        made.push(tensor(gpu, data, { shape }));
        return made.at(-1)!;
      }
      case "array":
        return find(content).data;
      case "list":
        return (content as unknown[]).map(walk);
      case "map":
        return new Map(entries().map(([name, each]) => [name, walk(each) as Tensor]));
      case "object":
        return Object.fromEntries(entries().map(([key, each]) => [key, walk(each)]));
      default:
        throw new CorruptFileError(
          `Cannot read a state: it has a part of unknown kind ${JSON.stringify(kind)}`,
        );
    }
  };
  try {
    return walk(structure);
  } catch (error) {
    disposeAll(made);
    throw error;
  }
}
