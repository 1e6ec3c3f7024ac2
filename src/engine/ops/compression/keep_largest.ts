import source from "../../../shaders/compression/keep_largest.wgsl";
import { Kernel } from "../../gpu/kernel.ts";
import { formatShape } from "../../shape.ts";
import { empty, type Tensor, tensor } from "../../tensor.ts";
import { tidy } from "../../tidy.ts";
import { fill } from "../create.ts";
import { checkOperands, gridOf, launch } from "../launch.ts";

const countKernel = new Kernel({
  name: "count",
  source,
  entry: "count",
  bindings: ["read", "read", "write"],
});
const chooseKernel = new Kernel({ name: "choose", source, entry: "choose", bindings: ["write", "write"] });
const keepKernel = new Kernel({ name: "keep", source, entry: "keep", bindings: ["read", "read", "write"] });

/** As in keep_largest.wgsl. */
const PIECE = 4096;
const DIGITS = 256;

/** A tensor [C, …] and the position of its elements among those of a member. */
interface Part {
  readonly x: Tensor;
  readonly perMember: number;
  readonly first: number;
}

/**
 * For each entry c of the first axis, keeps the `counts[c]` elements of largest magnitude over several tensors [C, …]
 * together, and sets all others to 0. Of equal magnitudes the first are kept, in the order of the tensors and within each in
 * row-major order; so exactly as many are kept as were asked for. NaN and infinity count as larger than all numbers. No gradient
 * goes through it.
 *
 * An exact radix selection over the bits, 8 at a time: four to eight passes over the values, and no wait for the device.
 *
 * @param counts elements to keep of each entry, from 0 to all of them.
 * @throws {TypeError} when the tensors or counts don't agree on C.
 * @throws {RangeError} when a count is no whole number in that range.
 */
export function keepLargest(tensors: readonly Tensor[], counts: readonly number[]): Tensor[] {
  const total = checkCounts(tensors, counts);
  if (tensors.length === 0) return [];
  const { gpu } = tensors[0]!;
  const members = counts.length;
  let first = 0;
  const parts = tensors.map((x): Part => {
    const part = { x, perMember: x.size / members, first };
    first += part.perMember;
    return part;
  });
  return tidy(() => {
    const state = tensor(gpu, Uint32Array.from(counts.flatMap((count) => [0, 0, count, 0])), {
      shape: [members, 4],
    });
    const digits = empty(gpu, [members, DIGITS], "u32");
    fill(digits, 0);
    const narrow = (shift: number, byIndex: boolean): void => {
      const constants = { BY_INDEX: byIndex };
      for (const { x, perMember, first } of parts) {
        const pieces = Math.ceil(perMember / PIECE);
        launch(countKernel, {
          tensors: [x, state, digits],
          params: [members, perMember, pieces, first, shift],
          workgroups: gridOf(members * pieces),
          constants,
        });
      }
      launch(chooseKernel, {
        tensors: [state, digits],
        params: [members, 0, 0, 0, shift],
        workgroups: gridOf(members),
        constants,
      });
    };
    for (const shift of [24, 16, 8, 0]) narrow(shift, false);
    for (const shift of [24, 16, 8, 0]) if (total > 2 ** shift) narrow(shift, true);
    return parts.map(({ x, perMember, first }) => {
      const y = empty(gpu, x.shape);
      launch(keepKernel, {
        tensors: [x, state, y],
        params: [members, perMember, 0, first, 0],
        threads: x.size,
        constants: { BY_INDEX: false },
      });
      return y;
    });
  });
}

/** The number of elements of an entry, after a check. */
function checkCounts(tensors: readonly Tensor[], counts: readonly number[]): number {
  checkOperands("keep the largest of", tensors);
  const members = counts.length;
  const odd = tensors.find(({ shape }) => shape[0] !== members);
  if (odd !== undefined || (members === 0 && tensors.length > 0)) {
    throw new TypeError(
      `Cannot keep the largest of ${formatShape((odd ?? tensors[0]!).shape)}: expected [${members}, …], ` +
        `an entry for each count`,
    );
  }
  const total = tensors.reduce((sum, { size }) => sum + size / members, 0);
  const wrong = counts.find((count) => !(Number.isInteger(count) && count >= 0 && count <= total));
  if (wrong !== undefined) {
    throw new RangeError(`Cannot keep the ${wrong} largest: expected a whole number from 0 to ${total}`);
  }
  if (total > 2 ** 32) {
    throw new RangeError(`Cannot keep the largest of ${total} elements: expected at most 2^32`);
  }
  return total;
}
