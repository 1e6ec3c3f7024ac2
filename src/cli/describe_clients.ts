import type { Preparation } from "../experiment/run/prepare.ts";

type Clients = readonly (readonly number[])[];

/** A line for each draw: the number and sizes of the clients, and how uneven their classes are. */
export function describeClients({ config, draws }: Preparation): string[] {
  const { partition } = config;
  const how = partition.kind === "dirichlet" ? `Dirichlet(${partition.alpha})` : partition.kind;
  return [...draws].map(([draw, { clients, train, numLeftOut, labelPermutations }]) => {
    const sizes = clients.map(({ length }) => length).sort((a, b) => a - b);
    const place = draws.size > 1 ? ` of draw ${draw}` : "";
    return `Clients${place}: ${clients.length} by ${how}, ${sizes[0]} to ${sizes.at(-1)} texts each (median ${
      sizes[sizes.length >> 1]
    })${describeSkew(clients, train)}${numLeftOut > 0 ? `; ${numLeftOut} texts are left out` : ""}${
      labelPermutations ? "; each sees the classes through a permutation of its own" : ""
    }`;
  });
}

/** How uneven the clients' classes are, where every text has one. */
function describeSkew(
  clients: Clients,
  { targets, targetsPerRow }: Preparation["train"],
): string {
  if (!(targets instanceof Int32Array) || targetsPerRow !== 1) return "";
  const onesided = clients.filter((rows) => {
    const counts = new Map<number, number>();
    for (const row of rows) counts.set(targets[row]!, (counts.get(targets[row]!) ?? 0) + 1);
    return [...counts.values()].some((count) => count >= 0.9 * rows.length);
  }).length;
  return `; ${onesided} have 90 % or more of one class`;
}
