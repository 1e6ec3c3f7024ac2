import { concat, keep, reshape, type Tensor, tensor, tidy } from "../../engine/mod.ts";
import type { Client, RoundPlan } from "../method.ts";
import { disposeTensors, type HostTensors, take, type Tensors } from "../tensors.ts";

/**
 * Where clients start that don't all start alike, [C, ...] by name; empty where the plan has nothing to say. The caller disposes
 * them.
 *
 * @param options.global the global values of what is shared.
 */
export function stackStarts(
  plan: RoundPlan,
  { clients, global }: { readonly clients: readonly Client[]; readonly global: Tensors },
): Tensors {
  if (plan.start === undefined) return new Map();
  const each = clients.map((client) => plan.start!(client));
  try {
    return new Map(
      [...global.keys()].map((name) => [name, keep(tidy(() => stack(each.map((own) => take(own, name)))))]),
    );
  } finally {
    for (const own of each) disposeTensors(own);
  }
}

/**
 * What clients kept, [C, ...] by name; for those that have nothing yet, what they begin with. The caller disposes them.
 *
 * @param begin [...] by name: what is asked for.
 * @throws {RangeError} when one kept something of another size.
 */
export async function stackKept(
  kept: readonly (HostTensors | undefined)[],
  begin: Tensors,
): Promise<Tensors> {
  const stacked = [...begin].map(async ([name, first]) => {
    const { gpu, shape, size } = first;
    const own = kept.map((each) => each?.get(name)?.data);
    const initial = own.includes(undefined) ? await first.floats() : undefined;
    const all = new Float32Array(kept.length * size);
    own.forEach((values, member) => {
      if (values !== undefined && values.length !== size) {
        throw new RangeError(
          `Cannot use ${name} that a client has kept: expected ${size} values, got ${values.length}`,
        );
      }
      all.set(values ?? initial!, member * size);
    });
    return { name, gpu, data: all, shape: [kept.length, ...shape] };
  });
  // Tensors come last: nothing is left on the device when something doesn't fit.
  return new Map((await Promise.all(stacked)).map(({ name, gpu, data, shape }) => [
    name,
    tensor(gpu, data, { shape }),
  ]));
}

function stack(members: readonly Tensor[]): Tensor {
  return concat(members.map((each) => reshape(each, [1, ...each.shape])));
}
