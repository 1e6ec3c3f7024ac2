import type { Experiment } from "./experiment.ts";

/** A few lines on who has what: number and size of the clients, and how uneven their classes are. */
export function describeClients(
  { config, clients, labels, train }: Pick<Experiment, "config" | "clients" | "labels" | "train">,
): string {
  const sizes = clients.map(({ length }) => length).sort((a, b) => a - b);
  const shares = clients.map((examples) =>
    Math.max(...labels.map((_, id) => shareOf(examples, id, train.labels)))
  );
  const onesided = shares.filter((share) => share >= 0.9).length;
  const how = config.partition.kind === "dirichlet"
    ? `Dirichlet(${config.partition.alpha})`
    : config.partition.kind;
  return `Clients: ${clients.length} by ${how}, ${sizes[0]} to ${sizes.at(-1)} texts each (median ${
    sizes[sizes.length >> 1]
  }); ${onesided} have 90 % or more of one class`;
}

function shareOf(examples: readonly number[], id: number, labels: Int32Array): number {
  return examples.filter((example) => labels[example] === id).length / examples.length;
}
