import type { Experiment } from "../experiment/run/experiment.ts";

/** The number and sizes of the clients, and how uneven their classes are. */
export function describeClients(
  { config, clients, train }: Pick<Experiment, "config" | "clients" | "train">,
): string {
  const sizes = clients.map(({ length }) => length).sort((a, b) => a - b);
  const how = config.partition.kind === "dirichlet"
    ? `Dirichlet(${config.partition.alpha})`
    : config.partition.kind;
  return `Clients: ${clients.length} by ${how}, ${sizes[0]} to ${sizes.at(-1)} texts each (median ${
    sizes[sizes.length >> 1]
  })${describeSkew({ clients, train })}`;
}

/** How uneven the clients' classes are, where every text has one. */
function describeSkew(
  { clients, train: { targets, targetsPerRow } }: Pick<Experiment, "clients" | "train">,
): string {
  if (!(targets instanceof Int32Array) || targetsPerRow !== 1) return "";
  const onesided = clients.filter((rows) => {
    const counts = new Map<number, number>();
    for (const row of rows) counts.set(targets[row]!, (counts.get(targets[row]!) ?? 0) + 1);
    return [...counts.values()].some((count) => count >= 0.9 * rows.length);
  }).length;
  return `; ${onesided} have 90 % or more of one class`;
}
