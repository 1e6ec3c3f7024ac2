import source from "../../shaders/linalg/inspect.wgsl";
import { NonFiniteError } from "../errors.ts";
import { Kernel } from "../gpu/kernel.ts";
import { toFloat } from "../ops/compression/precision.ts";
import { fill } from "../ops/create.ts";
import { launch } from "../ops/launch.ts";
import { formatShape } from "../shape.ts";
import { empty, type Tensor } from "../tensor.ts";
import { tidy } from "../tidy.ts";
import { type MatrixStack, stackExtents } from "./_stack.ts";

const kernel = new Kernel({ name: "linalg_inspect", source, bindings: ["read", "write"] });

/** Reads of each thread. */
const readsAThread = 64;

/**
 * For each matrix of a stack, the exponent e for which 2^-e brings its largest element to [1, 2), so that no square
 * overflows or vanishes.
 *
 * @throws {NonFiniteError} when an element is NaN or infinite.
 */
export async function exponentsOf(operation: string, stack: MatrixStack): Promise<number[]> {
  const { batch, m, n, leading, parts } = stackExtents(operation, stack);
  const { gpu } = parts[0]!.tensor;
  const stats = empty(gpu, [batch, 2], "u32");
  try {
    fill(stats, 0);
    for (const { tensor, first, count } of parts) {
      tidy(() => inspect(toFloat(tensor), { stats, first, count }));
    }
    const words = await stats.data();
    return Array.from({ length: batch }, (_, b) => {
      const broken = words[2 * b + 1]!;
      if (broken !== 0) {
        const index = 0xffffffff - broken;
        const where = [...(leading.length > 0 ? [b] : []), Math.floor(index / n), index % n];
        throw new NonFiniteError(
          `Cannot ${operation} a matrix with a non-finite element: the first of ${
            formatShape([...leading, m, n])
          } is at ${formatShape(where)}`,
        );
      }
      const bits = words[2 * b]!;
      // 2^-127 would be denormal, which an adapter may flush.
      return bits === 0 ? 0 : Math.min(126, Math.max(-126, (bits >>> 23) - 127));
    });
  } finally {
    stats.dispose();
  }
}

function inspect(x: Tensor, { stats, first, count }: { stats: Tensor; first: number; count: number }): void {
  const size = x.size / count;
  const QUADS = size % 4 === 0;
  const reads = QUADS ? size / 4 : size;
  const groups = Math.ceil(reads / (64 * readsAThread));
  launch(kernel, {
    tensors: [x, stats],
    params: [reads, groups * 64, first],
    workgroups: [groups, 1, count],
    constants: { QUADS },
  });
}
