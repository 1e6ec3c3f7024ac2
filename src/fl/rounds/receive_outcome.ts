import { countNonFinite, disposeAll, formatShape, sameShape, tensor } from "../../engine/mod.ts";
import { findNonFinite } from "../find_non_finite.ts";
import { type Finished, type Lost, tensorsOfOutcome, withoutMembers } from "../participants.ts";
import type { Shapes } from "../tensors.ts";

/** What of an outcome is used, and whom the round goes on without. */
export interface Received {
  /** In the order of the outcome; the caller owns them. */
  readonly finished: readonly Finished[];
  readonly lost: readonly Lost[];
}

/**
 * Looks at what clients sent before any of it is used. A client that sent something else than it was asked for, by name, shape or type, or
 * a value or loss that isn't finite, is lost; the others are as if it had been lost on the way.
 *
 * @param expected names and shapes of one client's upload; undefined where a stage hides what they are.
 * @throws {TypeError} when the outcome isn't of as many clients in all its parts, which no client can cause; it is freed then.
 */
export async function receiveOutcome(outcome: Finished, expected: Shapes | undefined): Promise<Received> {
  const { clients, values, losses, isFinite } = outcome;
  try {
    checkCounts(outcome);
    const misfit = misfitOf(outcome, expected);
    if (misfit !== undefined) {
      disposeAll(tensorsOfOutcome(outcome));
      return { finished: [], lost: clients.map((client) => ({ client, phase: "upload", reason: misfit })) };
    }
    const lost = new Map<number, Lost>();
    losses.forEach((loss, member) => {
      if (Number.isFinite(loss)) return;
      const client = clients[member]!;
      lost.set(member, { client, phase: "training", reason: `its training loss is ${loss}`, diverged: true });
    });
    const bad = isFinite ? [] : await nonFinite(values, clients.length);
    for (const [member, reason] of bad) {
      if (!lost.has(member)) lost.set(member, { client: clients[member]!, phase: "upload", reason });
    }
    return { finished: withoutMembers(outcome, lost), lost: [...lost.values()] };
  } catch (error) {
    disposeAll(tensorsOfOutcome(outcome));
    throw error;
  }
}

function checkCounts({ clients, keep, losses, bytesUp, bytesDown }: Finished): void {
  const counts = [
    ...[...keep].map(([name, { shape }]) => [name, shape[0] ?? 0] as const),
    ...Object.entries({ losses, bytesUp, bytesDown }).map(([name, each]) => [name, each.length] as const),
  ];
  const wrong = counts.find(([, count]) => count !== clients.length);
  if (wrong === undefined) return;
  const ids = clients.map(({ id }) => id).join(", ");
  throw new TypeError(
    `Cannot take what clients ${ids} sent: expected ${wrong[0]} of ${clients.length} clients, got ${
      wrong[1]
    }`,
  );
}

/** What isn't as it was asked for. */
function misfitOf({ clients, values }: Finished, expected: Shapes | undefined): string | undefined {
  for (const [name, { shape, dtype }] of values) {
    if (dtype !== "f32") return `its ${name} must be f32, got ${dtype}`;
    const wanted = expected === undefined ? shape.slice(1) : expected.get(name);
    if (wanted === undefined) return `it sent ${name}, which it wasn't asked for`;
    if (sameShape(shape, [clients.length, ...wanted])) continue;
    return `its ${name} must have shape ${formatShape(wanted)}, got ${
      formatShape(shape[0] === clients.length ? shape.slice(1) : shape)
    }`;
  }
  const missing = [...expected?.keys() ?? []].find((name) => !values.has(name));
  return missing === undefined ? undefined : `it sent no ${missing}`;
}

async function nonFinite(values: Finished["values"], members: number): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  const [first] = values.values();
  if (first === undefined) return found;
  using counts = tensor(first.gpu, new Uint32Array(members));
  for (const each of values.values()) countNonFinite(counts, each);
  for (const [member, count] of (await counts.data()).entries()) {
    if (count > 0) found.set(member, (await findNonFinite(values, member))!);
  }
  return found;
}
