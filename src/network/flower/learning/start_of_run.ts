import { formatShape, type Tensor } from "../../../engine/mod.ts";
import { digest, fingerprint } from "../../../federa/files/digest.ts";
import { type HostTensors, type Method, ownParameters, type Shapes, shapesOf } from "../../../fl/mod.ts";
import { toHost } from "../../../fl/tensors.ts";
import type { TaskModel } from "../../../tasks/mod.ts";

/** What a method puts on a model before the first round. */
export interface StartOfRun {
  /** SHA-256 of all that follows from weights and seed, or of what the server sent: equal where two nodes start from the same bits. */
  readonly hash: string;
  /** The values of what goes to the server and comes from it. */
  readonly shared: HostTensors;
  /** The shapes of all parameters. */
  readonly shapes: Shapes;
}

/**
 * The method itself, which tells what it has put on the model.
 *
 * @param onStart called within `init`.
 */
export function tellingStart(method: Method, onStart: (start: StartOfRun) => void): Method {
  return {
    ...method,
    async init(pretrained, context) {
      const begun = await method.init(pretrained, context);
      const { trained, shared = trained } = method.plan(begun.state, 1);
      onStart(await startOf(begun.model, { pretrained, trained, shared }));
      return begun;
    },
  };
}

async function startOf(
  model: TaskModel,
  { pretrained, trained, shared }: {
    readonly pretrained: TaskModel;
    readonly trained: readonly string[];
    readonly shared: readonly string[];
  },
): Promise<StartOfRun> {
  const known = new Set([...pretrained.namedParameters()].map(([name]) => name));
  const isTrained = new Set(trained);
  // What is left of a pretrained weight isn't compared: two programs add up its products in other orders.
  const own = ownParameters(model, pretrained).filter(([name]) => isTrained.has(name) || !known.has(name));
  const values = await toHost(new Map<string, Tensor>(own));
  return {
    hash: await hashTensors(values),
    shared: new Map(shared.map((name) => [name, values.get(name)!])),
    shapes: shapesOf(new Map(model.namedParameters())),
  };
}

/** SHA-256, in hexadecimal, of tensors with their names and shapes, by the order of the names; other programs can do the same. */
export async function hashTensors(tensors: HostTensors): Promise<string> {
  const sorted = [...tensors].sort(([a], [b]) => a < b ? -1 : 1);
  const lines = await Promise.all(
    sorted.map(async ([name, { shape, data }]) =>
      `${name} ${formatShape(shape)} ${await fingerprint(data)}\n`
    ),
  );
  return await digest(new TextEncoder().encode(lines.join("")));
}
