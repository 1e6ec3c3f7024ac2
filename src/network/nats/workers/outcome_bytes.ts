import { z } from "zod";
import { disposeAll, formatShape, type Gpu, sameShape, type Tensor, tensor } from "../../../engine/mod.ts";
import {
  type Finished,
  isLost,
  type Lost,
  type Outcome,
  tensorsOfOutcome,
} from "../../../fl/participants.ts";
import type { Client } from "../../../fl/method.ts";
import { type HostTensor, type Shapes, toHost } from "../../../fl/tensors.ts";
import { WrongResultError } from "./errors.ts";
import { decodeHost, encodeHost } from "./state_bytes.ts";

/** Which block of which round of which job an outcome is of. */
export interface BlockPlace {
  readonly job: string;
  readonly round: number;
  readonly block: number;
}

const count = z.int().min(0);
const partSchema = z.union([
  z.strictObject({
    clients: z.array(count),
    losses: z.array(z.number()),
    bytesUp: z.array(count),
    bytesDown: z.array(count),
  }),
  z.strictObject({
    lost: count,
    phase: z.enum(["download", "training", "upload"]),
    reason: z.string().max(4000),
    diverged: z.boolean(),
  }),
]);
const placeSchema = z.strictObject({ job: z.string(), round: count, block: count });

/** What became of the clients of a block as one safetensors file; it takes over the tensors. */
export async function encodeOutcomes(
  outcomes: readonly Outcome[],
  place: BlockPlace,
): Promise<Uint8Array<ArrayBuffer>> {
  const all = new Map<string, HostTensor>();
  const parts: z.output<typeof partSchema>[] = [];
  try {
    for (const [i, outcome] of outcomes.entries()) {
      if (isLost(outcome)) {
        const { client: { id: lost }, phase, reason, diverged = false } = outcome;
        parts.push({ lost, phase, reason, diverged });
        continue;
      }
      for (const [name, value] of await toHost(outcome.values)) all.set(`${i}/values/${name}`, value);
      for (const [name, value] of await toHost(outcome.keep)) all.set(`${i}/keep/${name}`, value);
      const { clients, losses, bytesUp, bytesDown } = outcome;
      const ids = clients.map(({ id }) => id);
      parts.push({ clients: ids, losses: [...losses], bytesUp: [...bytesUp], bytesDown: [...bytesDown] });
    }
  } finally {
    disposeAll(outcomes.flatMap((each) => isLost(each) ? [] : tensorsOfOutcome(each)));
  }
  return encodeHost(all, { place: JSON.stringify(place), parts: JSON.stringify(parts) });
}

/** What a block's outcome must be. */
export interface ExpectedOutcome {
  readonly place: BlockPlace;
  readonly clients: readonly Client[];
  /** What each client sends and keeps, without the client axis. */
  readonly values: Shapes;
  readonly keep: Shapes;
  /** Whether all values must be finite, as they are unless a lossy codec has rounded them. */
  readonly isFinite: boolean;
}

/**
 * Reads what {@linkcode encodeOutcomes} wrote, its tensors onto a device, and holds it against what was asked for: every client of the
 * block once, names, shapes and finite numbers.
 *
 * @throws {WrongResultError} saying what isn't so.
 */
export function decodeOutcomes(gpu: Gpu, bytes: Uint8Array, expected: ExpectedOutcome): Outcome[] {
  const { tensors, metadata } = read(bytes);
  const place = parse(placeSchema, metadata["place"], "place");
  for (const key of ["job", "round", "block"] as const) {
    if (place[key] !== expected.place[key]) {
      throw new WrongResultError(`it is of ${key} ${place[key]}, expected ${expected.place[key]}`);
    }
  }
  const parts = parse(z.array(partSchema), metadata["parts"], "parts");
  const left = new Map(expected.clients.map((client) => [client.id, client]));
  const take = (id: number): Client => {
    const client = left.get(id);
    if (client === undefined) {
      throw new WrongResultError(`it has client ${id} twice, or one that wasn't asked`);
    }
    left.delete(id);
    return client;
  };
  const unused = new Set(tensors.keys());
  const taken = (
    part: number,
    kind: "values" | "keep",
    { shapes, members }: { shapes: Shapes; members: number },
  ) =>
    new Map([...shapes].map(([name, shape]) => {
      const path = `${part}/${kind}/${name}`;
      const found = tensors.get(path);
      if (found === undefined) throw new WrongResultError(`it lacks ${kind} ${name}`);
      if (!sameShape(found.shape, [members, ...shape])) {
        throw new WrongResultError(
          `its ${kind} ${name} must have shape ${formatShape([members, ...shape])}, got ${
            formatShape(found.shape)
          }`,
        );
      }
      if (expected.isFinite && !found.data.every(Number.isFinite)) {
        throw new WrongResultError(`its ${kind} ${name} has a value that isn't finite`);
      }
      unused.delete(path);
      return [name, found] as const;
    }));
  const read_ = parts.map((part, i) => {
    if ("lost" in part) {
      const { lost, phase, reason, diverged } = part;
      return { client: take(lost), phase, reason, ...(diverged && { diverged }) } satisfies Lost;
    }
    const { losses, bytesUp, bytesDown } = part;
    const clients = part.clients.map(take);
    const members = clients.length;
    if (members === 0 || [losses, bytesUp, bytesDown].some((each) => each.length !== members)) {
      throw new WrongResultError("its losses and bytes aren't of as many clients");
    }
    const values = taken(i, "values", { shapes: expected.values, members });
    const keep = taken(i, "keep", { shapes: expected.keep, members });
    return { clients, losses, bytesUp, bytesDown, values, keep };
  });
  if (left.size > 0) throw new WrongResultError(`it has nothing of client ${[...left.keys()][0]}`);
  const [other] = unused;
  if (other !== undefined) throw new WrongResultError(`it has ${other}, which nobody asked for`);
  const made: Tensor[] = [];
  const onDevice = (values: ReadonlyMap<string, HostTensor>) =>
    new Map([...values].map(([name, { data, shape }]) => {
      made.push(tensor(gpu, data, { shape }));
      return [name, made.at(-1)!] as const;
    }));
  try {
    return read_.map((part): Outcome =>
      "client" in part
        ? part
        : { ...part, values: onDevice(part.values), keep: onDevice(part.keep) } satisfies Finished
    );
  } catch (error) {
    disposeAll(made);
    throw error;
  }
}

function read(bytes: Uint8Array): ReturnType<typeof decodeHost> {
  try {
    return decodeHost(bytes);
  } catch (cause) {
    throw new WrongResultError(`it can't be read: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
}

function parse<T>(schema: z.ZodType<T>, text: string | undefined, what: string): T {
  try {
    return schema.parse(JSON.parse(text ?? ""));
  } catch (cause) {
    throw new WrongResultError(`its ${what} can't be read`, { cause });
  }
}
