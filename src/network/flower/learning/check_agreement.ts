import type { OpenedRun } from "./opened_run.ts";
import { RefusedRunError } from "./refusal.ts";
import type { FlowerSettings } from "./settings.ts";

/**
 * Makes sure that a node has the base and the start that the others have.
 *
 * @throws {RefusedRunError} when it hasn't.
 */
export function checkHashes(
  { baseHash, start }: Pick<OpenedRun, "baseHash" | "start">,
  settings: Pick<FlowerSettings, "baseHash" | "startHash">,
  client: number,
): void {
  for (
    const { what, own, expected } of [
      { what: "base model", own: baseHash, expected: settings.baseHash },
      { what: "start", own: start.hash, expected: settings.startHash },
    ]
  ) {
    if (expected === undefined || expected === own) continue;
    const advice = what === "start"
      ? 'a start from other hardware may differ in its last bits: let the server make it (start-by = "server")'
      : "give all the same weights";
    throw new RefusedRunError(
      `Cannot take part as client ${client}: this node's ${what} is ${own.slice(0, 12)}…, not ${
        expected.slice(0, 12)
      }… as that of the others; ${advice}`,
    );
  }
}

/**
 * Makes sure that a run is still what it was.
 *
 * @param known what its settings said first, as JSON.
 * @throws {RefusedRunError} naming what the server changed.
 */
export function checkIdentity(known: string, now: string): void {
  if (known === now) return;
  const [before, after] = [known, now].map((text) => JSON.parse(text) as Record<string, unknown>);
  const changed = Object.keys({ ...before, ...after }).filter((name) =>
    JSON.stringify(before![name]) !== JSON.stringify(after![name])
  );
  throw new RefusedRunError(
    `Cannot go on in this run: the server changed ${changed.join(", ")}; begin another run`,
  );
}
