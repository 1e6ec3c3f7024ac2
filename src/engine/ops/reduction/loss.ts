import source from "../../../shaders/reduction/cross_entropy.wgsl";
import { isRecording, record } from "../../autograd.ts";
import { Kernel } from "../../gpu/kernel.ts";
import { formatShape, sameShape } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { tidy } from "../../tidy.ts";
import { checkOperands } from "../launch.ts";
import { launchRows } from "./row_launch.ts";
import { scoped } from "../scoped.ts";
import { abs, add, mul, neg, relu, sigmoid, softplus, square, sub } from "../elementwise.ts";
import { mean } from "./reduce.ts";
import { reshape } from "../shape.ts";

const lossKernel = new Kernel({ name: "cross_entropy", source, bindings: ["read", "read", "write"] });
const gradientKernel = new Kernel({
  name: "cross_entropy_with_gradient",
  source,
  bindings: ["read", "read", "write", "write"],
});

/** The label of rows that {@linkcode crossEntropy} ignores. */
export const ignoredLabel = -100;

/**
 * Softmax cross-entropy of `logits` […, K] against `labels` (i32, […]): one loss for each row, in the shape of the labels.
 * Rows labelled {@linkcode ignoredLabel} have loss and gradient 0; any other label outside 0…K−1 makes the loss NaN.
 * Weight and sum the rows for a scalar loss: `sum(mul(crossEntropy(logits, labels), weights))`.
 *
 * @throws {TypeError} when the shapes don't agree.
 */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  checkOperands("take the cross-entropy of", [logits]);
  checkOperands("take the cross-entropy against", [labels], "i32");
  const classes = logits.shape.at(-1) ?? 0;
  if (!sameShape(logits.shape.slice(0, -1), labels.shape) || classes === 0) {
    throw new TypeError(
      `Cannot take the cross-entropy of logits ${formatShape(logits.shape)} against labels ${
        formatShape(labels.shape)
      }: expected [..., K] and [...]`,
    );
  }
  const loss = empty(logits.gpu, labels.shape);
  const params = [labels.size, classes] as const;
  if (!isRecording(logits)) {
    launchRows(lossKernel, { tensors: [logits, labels, loss], params, constants: { GRADIENT: false } });
    return loss;
  }
  const dx = empty(logits.gpu, logits.shape);
  launchRows(gradientKernel, { tensors: [logits, labels, loss, dx], params, constants: { GRADIENT: true } });
  return record(loss, [logits], [(dy) => mul(dx, reshape(dy, [...labels.shape, 1]))]);
}

/**
 * Binary cross-entropy of logits against targets in [0, 1], one loss for each element: max(x, 0) − x·t + log(1 + e^−|x|),
 * which neither overflows nor takes the logarithm of 0. No gradient goes to the targets.
 *
 * @throws {TypeError} when the shapes differ.
 */
export function binaryCrossEntropy(logits: Tensor, targets: Tensor): Tensor {
  checkOperands("take the binary cross-entropy of", [logits, targets]);
  assertSameShape("take the binary cross-entropy of", logits, targets);
  const loss = tidy(() => {
    const [x, t] = [logits.detach(), targets.detach()];
    return add(sub(relu(x), mul(x, t)), softplus(neg(abs(x))));
  });
  return record(loss, [logits], [(dy) => mul(sub(sigmoid(logits), targets), dy)]);
}

/**
 * Mean squared error over all elements.
 *
 * @throws {TypeError} when the shapes differ.
 */
export function meanSquaredError(predictions: Tensor, targets: Tensor): Tensor {
  assertSameShape("take the squared error of", predictions, targets);
  return scoped([predictions, targets], () => mean(square(sub(predictions, targets))));
}

function assertSameShape(operation: string, a: Tensor, b: Tensor): void {
  if (!sameShape(a.shape, b.shape)) {
    throw new TypeError(
      `Cannot ${operation} ${formatShape(a.shape)} against ${formatShape(b.shape)}: shapes must agree`,
    );
  }
}
