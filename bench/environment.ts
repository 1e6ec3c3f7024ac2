import { readFileSync } from "node:fs";
import { arch, cpus, loadavg, platform, totalmem } from "node:os";
import type { Gpu } from "../src/engine/mod.ts";
import type { Peers } from "./peers/mod.ts";

/** What the numbers of a run depend on. */
export interface Environment {
  readonly date: string;
  readonly machine: {
    readonly platform: string;
    readonly processor: string;
    readonly cores: number;
    readonly gigabytes: number;
    /** Mean number of running processes over the last minute, before the run: well above 0, others were at work. */
    readonly load: number;
  };
  readonly adapter: string;
  readonly versions: Readonly<Record<string, string>>;
}

/** Describes the machine, its adapter, and the versions of all that is compared. */
export function describeEnvironment(
  gpu: Gpu,
  peers: Peers,
): Environment {
  const processors = cpus();
  const { vendor, device, description } = gpu.adapter;
  return {
    date: new Date().toISOString(),
    machine: {
      platform: `${platform()}-${arch()}`,
      processor: processors[0]?.model ?? "unknown",
      cores: processors.length,
      gigabytes: Math.round(totalmem() / 2 ** 30),
      load: loadavg()[0]!,
    },
    adapter: [vendor, device, description].filter((part) => part !== "").join(
      " ",
    ),
    versions: {
      federa: versionIn("../package.json"),
      ...peers.versions,
      webgpu: versionIn("../node_modules/webgpu/package.json"),
      node: process.versions.node,
    },
  };
}

function versionIn(path: string): string {
  return (JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as {
    version: string;
  }).version;
}

/** The environment in two lines. */
export function formatEnvironment(
  { adapter, machine, versions }: Environment,
): string {
  const { processor, cores, gigabytes, load, platform } = machine;
  return [
    `${adapter} on ${processor}, ${cores} cores, ${gigabytes} GiB, ${platform}; load ${load.toFixed(1)}`,
    Object.entries(versions).map(([name, version]) => `${name} ${version}`)
      .join(", "),
  ].join("\n");
}
