import type { PartitionConfig } from "../config/partition_config.ts";

/** A partition's kind and options in a few words, such as `dirichlet (numClients 20, alpha 0.3)`. */
export function describePartition({ kind, ...options }: PartitionConfig): string {
  const described = Object.entries(options).flatMap(([name, value]) => {
    if (value === undefined || value === false || (name === "by" && value === "classes")) return [];
    if (value === true) return [name];
    const text = JSON.stringify(value).replaceAll('"', "");
    return [`${name} ${text.length > 60 ? `${text.slice(0, 60)}…` : text}`];
  });
  return described.length === 0 ? kind : `${kind} (${described.join(", ")})`;
}
