import { randomKey, RandomStream } from "../../../engine/mod.ts";

/** Before which of its messages a simulated client may be lost: its public keys, its shares, its vector, or the shares that unmask. */
export const dropoutPhases = ["keys", "shares", "vector", "unmasking"] as const;

/** A phase of {@linkcode dropoutPhases}. */
export type DropoutPhase = (typeof dropoutPhases)[number];

/** The probability that a client is lost in each phase; 0 where nothing is said. */
export type Dropouts = Readonly<Partial<Record<DropoutPhase, number | undefined>>>;

/** In which phase a client is lost; undefined for one that stays. It's drawn by (seed, round, client). */
export function dropoutOf(
  dropouts: Dropouts,
  { seed, round, client }: { readonly seed: number; readonly round: number; readonly client: number },
): DropoutPhase | undefined {
  const stream = new RandomStream(randomKey(seed, "dropout from secure aggregation", round, client));
  return dropoutPhases.find((phase) => stream.uniform() < (dropouts[phase] ?? 0));
}

/** Whether a client that is lost in some phase still sends the message of another. */
export function sendsBefore(lost: DropoutPhase | undefined, phase: DropoutPhase): boolean {
  return lost === undefined || dropoutPhases.indexOf(phase) < dropoutPhases.indexOf(lost);
}
