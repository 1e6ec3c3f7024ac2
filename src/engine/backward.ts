import { noGrad } from "./autograd.ts";
import { ones } from "./ops/create.ts";
import { add } from "./ops/elementwise.ts";
import { formatShape, sameShape } from "./shape.ts";
import type { GradientNode, Tensor } from "./tensor.ts";
import { tidy } from "./tidy.ts";

/**
 * The gradient of a scalar `loss` with respect to each of `leaves`, in their order and shapes.
 *
 * @throws {TypeError} when the loss isn't a scalar, or doesn't depend on one of the leaves.
 * @example
 * ```ts
 * const w = tensor(gpu, [1, 2, 3]).requireGrad();
 * const [dw] = backward(sum(mul(w, w)), [w]); // 2, 4, 6
 * ```
 */
export function backward(loss: Tensor, leaves: readonly Tensor[]): Tensor[] {
  if (loss.size !== 1) {
    throw new TypeError(`Cannot run backward from shape ${formatShape(loss.shape)}: expected a scalar loss`);
  }
  const wanted = new Set(leaves);
  const order = orderToward(loss, wanted);
  const reached = new Set(order);
  leaves.forEach((leaf, i) => {
    if (!reached.has(leaf)) {
      throw new TypeError(
        `Cannot give the gradient of leaf ${i} of shape ${
          formatShape(leaf.shape)
        }: the loss does not depend on it, or requireGrad() was not called`,
      );
    }
  });
  return tidy(() =>
    noGrad(() => {
      const gradients = new Map<Tensor, Tensor>([[loss, ones(loss.gpu, loss.shape)]]);
      for (let i = order.length - 1; i >= 0; i--) {
        const output = order[i]!;
        const dy = gradients.get(output);
        if (dy === undefined || output.node === null) continue;
        propagate(output.node, dy, { gradients, reached });
        if (!wanted.has(output)) {
          gradients.delete(output);
          dy.dispose();
        }
      }
      return leaves.map((leaf) => gradients.get(leaf)!);
    })
  );
}

function propagate(
  { inputs, rules }: GradientNode,
  dy: Tensor,
  { gradients, reached }: { gradients: Map<Tensor, Tensor>; reached: ReadonlySet<Tensor> },
): void {
  const parts = tidy(() =>
    inputs.map((input, i) => {
      if (!reached.has(input)) return null;
      const part = rules[i]!(dy);
      if (!sameShape(part.shape, input.shape)) {
        throw new TypeError(
          `Gradient rule gave shape ${formatShape(part.shape)} for an input of shape ${
            formatShape(input.shape)
          }`,
        );
      }
      // A rule may pass dy itself on; each holder needs a handle of its own to dispose.
      return part.detach();
    })
  );
  inputs.forEach((input, i) => {
    const part = parts[i];
    if (!part) return;
    const before = gradients.get(input);
    if (before === undefined) {
      gradients.set(input, part);
    } else {
      gradients.set(input, add(before, part));
      before.dispose();
      part.dispose();
    }
  });
}

/** Tensors between the wanted leaves and the loss, inputs first. */
function orderToward(loss: Tensor, wanted: ReadonlySet<Tensor>): Tensor[] {
  const leads = new Map<Tensor, boolean>();
  const order: Tensor[] = [];
  const stack: { tensor: Tensor; next: number }[] = [{ tensor: loss, next: 0 }];
  leads.set(loss, wanted.has(loss));
  while (stack.length > 0) {
    const frame = stack.at(-1)!;
    const input = frame.tensor.node?.inputs[frame.next++];
    if (input !== undefined) {
      if (!leads.has(input)) {
        leads.set(input, wanted.has(input));
        stack.push({ tensor: input, next: 0 });
      }
      continue;
    }
    stack.pop();
    if (frame.tensor.node?.inputs.some((each) => leads.get(each))) leads.set(frame.tensor, true);
    if (leads.get(frame.tensor)) order.push(frame.tensor);
  }
  return order;
}
