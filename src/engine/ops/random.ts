import source from "../../shaders/dropout.wgsl";
import { record } from "../autograd.ts";
import { f32Bits } from "../gpu/device.ts";
import { Kernel } from "../gpu/kernel.ts";
import { formatShape } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { checkOperands, launch } from "./launch.ts";
import { reshape } from "./shape.ts";

const dropoutKernel = new Kernel({
  name: "dropout",
  source,
  bindings: ["read", "read", "write"],
});

/** Options of {@linkcode dropout}. */
export interface DropoutOptions {
  /** Probability that an element becomes 0; from 0 to below 1. */
  readonly rate: number;
  /** Philox keys, u32 [C, 2]: one for each entry of the first axis of x, or [1, 2] for all of it. */
  readonly keys: Tensor;
  /** Distinguishes the dropout layers of one model. */
  readonly site: number;
}

/**
 * Sets elements to 0 at random and scales the others by 1/(1 − rate). What is dropped depends on the key, the site and
 * the element's position alone (Philox4x32-10), so the gradient repeats it.
 *
 * @throws {RangeError} when the rate isn't in [0, 1).
 */
export function dropout(x: Tensor, options: DropoutOptions): Tensor {
  const { rate, keys, site } = options;
  if (!(rate >= 0 && rate < 1)) {
    throw new RangeError(`Cannot drop out at rate ${rate}: expected 0 <= rate < 1`);
  }
  if (rate === 0) return reshape(x, x.shape);
  checkOperands("drop out", [x]);
  checkOperands("drop out by keys", [keys], "u32");
  const members = keys.shape[0] ?? 0;
  if (keys.ndim !== 2 || keys.shape[1] !== 2 || !(members === 1 || members === x.shape[0])) {
    throw new TypeError(
      `Cannot drop out ${formatShape(x.shape)} by keys ${formatShape(keys.shape)}: expected [1, 2] or [${
        x.shape[0]
      }, 2]`,
    );
  }
  const apply = (input: Tensor) => {
    const y = empty(x.gpu, x.shape);
    launch(dropoutKernel, {
      tensors: [input, keys, y],
      params: [
        x.size,
        Math.max(1, x.size / members),
        site,
        Math.floor(rate * 2 ** 32),
        f32Bits(1 / (1 - rate)),
      ],
      threads: x.size,
    });
    return y;
  };
  return record(apply(x), [x], [apply]);
}
