import type { Tensors } from "./tensors.ts";

/**
 * Names the first value of a member that isn't finite, such as "its head.weight holds NaN at element 3"; undefined where all are.
 *
 * @param values [C, ...] by name.
 */
export async function findNonFinite(values: Tensors, member: number): Promise<string | undefined> {
  for (const [name, value] of values) {
    const all = await value.floats();
    const size = all.length / value.shape[0]!;
    const own = all.subarray(member * size, (member + 1) * size);
    const element = own.findIndex((each) => !Number.isFinite(each));
    if (element >= 0) return `its ${name} holds ${own[element]} at element ${element}`;
  }
  return undefined;
}
