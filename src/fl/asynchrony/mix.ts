import type { HostTensor, HostTensors } from "../tensors.ts";
import type { Flight } from "./in_flight.ts";
import type { Asynchrony } from "./options.ts";

/** s(τ) = 1/√(1 + τ): what an upload counts for that started τ updates ago. */
export function stalenessWeight(staleness: number): number {
  return 1 / Math.sqrt(1 + staleness);
}

/** What has arrived for an update. */
export interface Arrivals {
  /** Updates done: τ of an arrival is what came after it started. */
  readonly version: number;
  /** At least one, in the order of client numbers; one for FedAsync. */
  readonly flights: readonly Pick<Flight, "client" | "version" | "sent">[];
}

/**
 * The next global values, added up in f64 and rounded once.
 *
 * FedBuff (Nguyen et al., arXiv 2106.06639): x + η·Σ s(τ_k)·Δ_k/K, of changes since the models that clients started from. FedAsync (Xie et
 * al., arXiv 1903.03934): (1 − a·s(τ))·x + a·s(τ)·y, of a client's values.
 *
 * @param global x, by name.
 * @throws {TypeError} when an arrival lacks a value.
 */
export function mix(
  global: HostTensors,
  { version, flights }: Arrivals,
  { kind, rate }: Pick<Asynchrony, "kind" | "rate">,
): Map<string, HostTensor> {
  const weights = flights.map((flight) => stalenessWeight(version - flight.version));
  return new Map([...global].map(([name, { shape, data: x }]): [string, HostTensor] => {
    const sent = flights.map((flight) => dataOf(flight, name));
    const next = kind === "fedasync"
      ? x.map((value, i) => value + rate * weights[0]! * (sent[0]![i]! - value))
      : x.map((value, i) => {
        let sum = 0;
        for (const [k, change] of sent.entries()) sum += weights[k]! * change[i]!;
        return value + rate * sum / sent.length;
      });
    return [name, { shape, data: next }];
  }));
}

function dataOf({ client, sent }: Arrivals["flights"][number], name: string): Float32Array {
  const found = sent.get(name)?.data;
  if (found !== undefined) return found;
  throw new TypeError(`Cannot use what client ${client.id} sent: it has no ${name}`);
}
