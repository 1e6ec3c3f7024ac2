import type { Gpu } from "../../engine/mod.ts";

/** The adapter's name and kind, for people. */
export function describeAdapter({ adapter }: Gpu): string {
  const kind = adapter.class === "cpu" ? "software driver on the CPU" : "graphics processor";
  return `${adapter.description || adapter.device || adapter.vendor} (${kind})`;
}
