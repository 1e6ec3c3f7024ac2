import { z } from "zod";

/** The most clients of a cohort that may be hostile, f; by default a fifth of it, rounded up. */
export const attackersOption = z.int().min(0).max(1e6).optional();

/** f of a cohort. */
export function attackersOf(given: number | undefined, cohort: number): number {
  return given ?? Math.ceil(cohort / 5);
}

/** What is to be withstood, for messages. */
export function withstanding(attackers: number): string {
  return `to withstand ${attackers} attacker${attackers === 1 ? "" : "s"}`;
}

/** What else would do for too few clients, where n ≥ factor·f + 3 is needed; undefined where even f = 0 needs more. */
export function fewerAttackers(cohort: number, factor: number): string | undefined {
  const most = Math.floor((cohort - 3) / factor);
  if (most < 0) return undefined;
  return `set attackers to ${most}${most === 0 ? "" : " or less"}`;
}
