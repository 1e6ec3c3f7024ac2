import { noGrad } from "./autograd.ts";
import { ones } from "./ops/create.ts";
import { add } from "./ops/elementwise.ts";
import { sumTo } from "./ops/reduction/reduction.ts";
import { accumulate, assign } from "./ops/update.ts";
import { canBroadcast, formatShape, sameShape, type Shape } from "./shape.ts";
import type { Tensor } from "./tensor.ts";
import { tidy } from "./tidy.ts";

/** Options of {@linkcode backward}. */
export interface BackwardOptions {
  /**
   * Tensors to write the gradients to, one for each leaf; they are returned. With tensors of `emptyPacked`, an optimiser
   * takes all of them in one launch.
   */
  readonly into?: readonly (Tensor | undefined)[];
}

/**
 * Returns the gradient of a scalar `loss` with respect to each of `leaves`, in their order and shapes.
 *
 * @throws {TypeError} when the loss isn't a scalar, or doesn't depend on one of the leaves.
 * @example
 * ```ts
 * const w = tensor(gpu, [1, 2, 3]).requireGrad();
 * const [dw] = backward(sum(mul(w, w)), [w]); // 2, 4, 6
 * ```
 */
export function backward(loss: Tensor, leaves: readonly Tensor[], options: BackwardOptions = {}): Tensor[] {
  if (loss.size !== 1) {
    throw new TypeError(`Cannot run backward from shape ${formatShape(loss.shape)}: expected a scalar loss`);
  }
  return tidy(() => backpropagate(loss, ones(loss.gpu, loss.shape), { ...options, leaves }));
}

/** Options of {@linkcode backpropagate}. */
export interface BackpropagateOptions extends BackwardOptions {
  readonly leaves: readonly Tensor[];
  /** Whether to stop at leaves that are results of operations themselves; off by default. */
  readonly stopAtLeaves?: boolean;
}

/** Returns the gradients Σ dy·∂output/∂leaf of several leaves. */
export function backpropagate(output: Tensor, dy: Tensor, options: BackpropagateOptions): Tensor[] {
  const { leaves, into = [], stopAtLeaves = false } = options;
  const wanted = new Set(leaves);
  const order = orderToward(output, wanted, stopAtLeaves);
  const gradients = new Gradients(order);
  leaves.forEach((leaf, i) => {
    if (!gradients.reach(leaf)) {
      throw new TypeError(
        `Cannot compute the gradient of leaf ${i} of shape ${
          formatShape(leaf.shape)
        }: the loss does not depend on it, or requireGrad() was not called`,
      );
    }
    const target = into[i];
    if (target === undefined) return;
    if (!sameShape(target.shape, leaf.shape)) {
      throw new TypeError(
        `Cannot write the gradient of leaf ${i} of shape ${formatShape(leaf.shape)} into shape ${
          formatShape(target.shape)
        }`,
      );
    }
    // The rules below a result read its gradient and must not write to the same storage.
    if (leaf.node === null) gradients.target(leaf, target);
  });
  return tidy(() =>
    noGrad(() => {
      gradients.add(output, dy.detach());
      for (let i = order.length - 1; i >= 0; i--) {
        const result = order[i]!;
        const isLeaf = wanted.has(result);
        if (result.node === null || (isLeaf && stopAtLeaves)) continue;
        propagate(result, gradients);
        if (!isLeaf) gradients.drop(result);
      }
      return leaves.map((leaf, i) => {
        const gradient = gradients.get(leaf);
        const target = into[i] ?? gradient;
        if (target !== gradient) assign(target, gradient);
        return target;
      });
    })
  );
}

/** The gradients found so far, each the sum of the shares of the operations that used the tensor. */
class Gradients {
  readonly #reached: ReadonlySet<Tensor>;
  readonly #targets = new Map<Tensor, Tensor>();
  readonly #sums = new Map<Tensor, Tensor>();

  constructor(reached: readonly Tensor[]) {
    this.#reached = new Set(reached);
  }

  /** Whether a tensor leads to a wanted leaf. */
  reach(tensor: Tensor): boolean {
    return this.#reached.has(tensor);
  }

  /** Makes the gradient of a leaf end up in `target`. */
  target(leaf: Tensor, target: Tensor): void {
    this.#targets.set(leaf, target);
  }

  /** Where the next gradient of `tensor` may be written: its target, while nothing is there yet. */
  freeTarget(tensor: Tensor): Tensor | undefined {
    return this.#sums.has(tensor) ? undefined : this.#targets.get(tensor);
  }

  get(tensor: Tensor): Tensor {
    return this.#sums.get(tensor)!;
  }

  /** Adds a share and takes it over; adds in place if nobody else uses the memory. */
  add(tensor: Tensor, part: Tensor): void {
    const before = this.#sums.get(tensor);
    const target = this.#targets.get(tensor);
    let total = part;
    if (before !== undefined) {
      if (before === target || !before.storage.isShared) accumulate(total = before, part);
      else if (!part.storage.isShared) accumulate(part, before);
      else total = add(before, part);
    } else if (target !== undefined && part !== target) {
      assign(total = target, part);
    }
    this.#sums.set(tensor, total);
    for (const each of [before, part]) if (each !== total) each?.dispose();
  }

  /** Frees the gradient of a tensor once it was passed on to the inputs. */
  drop(tensor: Tensor): void {
    this.#sums.get(tensor)!.dispose();
    this.#sums.delete(tensor);
  }
}

/** Runs the rules of the operation that made a tensor, for the inputs that lead to wanted leaves. */
function propagate(output: Tensor, gradients: Gradients): void {
  const { inputs, rules } = output.node!;
  const dy = gradients.get(output);
  const wanted: number[] = [];
  const into: (Tensor | undefined)[] = [];
  inputs.forEach((input, i) => {
    if (!gradients.reach(input)) return;
    wanted.push(i);
    // An input that occurs twice has one target.
    into.push(inputs.indexOf(input) === i ? gradients.freeTarget(input) : undefined);
  });
  const parts = tidy(() => {
    const found = typeof rules === "function"
      ? rules(dy, wanted, into)
      : wanted.map((i, k) => rules[i]!(dy, into[k]));
    // A rule may pass dy itself on; each holder needs a handle of its own to dispose.
    return found.map((part, k) =>
      part === into[k] ? part : unbroadcast(part, inputs[wanted[k]!]!.shape).detach()
    );
  });
  wanted.forEach((i, k) => gradients.add(inputs[i]!, parts[k]!));
}

/** Sums the result of a rule over the axes along which its input was broadcast. */
function unbroadcast(part: Tensor, shape: Shape): Tensor {
  if (sameShape(part.shape, shape)) return part;
  if (!canBroadcast(shape, part.shape)) {
    throw new TypeError(
      `Cannot use the gradient of shape ${
        formatShape(part.shape)
      } that a rule returned for an input of shape ${
        formatShape(shape)
      }: expected that shape, or one that the input broadcasts to`,
    );
  }
  return sumTo(part, shape);
}

/** Tensors between the wanted leaves and the output, inputs first. */
function orderToward(output: Tensor, wanted: ReadonlySet<Tensor>, stopAtLeaves: boolean): Tensor[] {
  const leads = new Map<Tensor, boolean>();
  const order: Tensor[] = [];
  const stack: { tensor: Tensor; next: number }[] = [{ tensor: output, next: 0 }];
  const inputsOf = (tensor: Tensor) => stopAtLeaves && wanted.has(tensor) ? undefined : tensor.node?.inputs;
  leads.set(output, wanted.has(output));
  while (stack.length > 0) {
    const frame = stack.at(-1)!;
    const input = inputsOf(frame.tensor)?.[frame.next++];
    if (input !== undefined) {
      if (!leads.has(input)) {
        leads.set(input, wanted.has(input));
        stack.push({ tensor: input, next: 0 });
      }
      continue;
    }
    stack.pop();
    if (inputsOf(frame.tensor)?.some((each) => leads.get(each))) leads.set(frame.tensor, true);
    if (leads.get(frame.tensor)) order.push(frame.tensor);
  }
  return order;
}
