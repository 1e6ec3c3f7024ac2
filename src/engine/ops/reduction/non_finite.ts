import source from "../../../shaders/reduction/non_finite.wgsl";
import { Kernel } from "../../gpu/kernel.ts";
import { formatShape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { checkOperands, launch } from "../launch.ts";

const kernel = new Kernel({ name: "non-finite", source, bindings: ["read", "write"] });

/** Values that one thread looks at. */
const perThread = 16;

/**
 * Adds to each member's count, u32 [C], how many of its values [C, ...] are NaN or infinite.
 *
 * @throws {TypeError} when the shapes don't agree.
 */
export function countNonFinite(counts: Tensor, values: Tensor): void {
  checkOperands("look for NaN in", [values]);
  checkOperands("count in", [counts], "u32");
  const members = values.shape[0] ?? 0;
  if (counts.ndim !== 1 || counts.shape[0] !== members) {
    throw new TypeError(
      `Cannot count values ${formatShape(values.shape)} in ${
        formatShape(counts.shape)
      }: expected [C, ...] and [C]`,
    );
  }
  if (values.size === 0) return;
  const n = values.size / members;
  const chunks = Math.ceil(n / perThread);
  launch(kernel, { tensors: [values, counts], params: [members, n, chunks], threads: members * chunks });
}
