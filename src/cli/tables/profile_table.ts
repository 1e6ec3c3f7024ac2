import type { KernelProfile } from "../../engine/mod.ts";
import type { StepProfile } from "../../experiment/run/profile_steps.ts";
import { formatTable } from "./table.ts";

/** What a training step costs, as text: a line for each kernel, the slowest first, then the whole step. */
export function profileTable(profile: StepProfile): string {
  const { kernels, steps, gpuMilliseconds, wallMilliseconds, hostMilliseconds } = profile;
  const perSecond = (count: number | null, { milliseconds }: KernelProfile) =>
    count === null || milliseconds === 0 ? "" : (count / milliseconds / 1e6).toFixed(1);
  const right = "right" as const;
  const table = formatTable(kernels, [
    { title: "kernel", cell: ({ kernel }) => kernel },
    { title: "variant", cell: ({ variant }) => variant, wrap: true },
    { title: "calls", cell: ({ calls }) => count(calls / steps), align: right },
    { title: "ms", cell: ({ milliseconds }) => (milliseconds / steps).toFixed(3), align: right },
    {
      title: "share",
      cell: ({ milliseconds }) => percent(milliseconds / steps / gpuMilliseconds),
      align: right,
    },
    { title: "GFLOP/s", cell: (row) => perSecond(row.flops, row), align: right },
    { title: "GB/s", cell: (row) => perSecond(row.bytes, row), align: right },
  ]);
  return `A training step by ${profile.method}, ${count(profile.members)} clients at once, mean of ${steps}:

${table}

All of a step: ${gpuMilliseconds.toFixed(1)} ms in kernels; ${
    wallMilliseconds.toFixed(1)
  } ms from step to step ` +
    `without the profiler, of which the host worked for ${hostMilliseconds.toFixed(1)} ms (${
      percent(hostMilliseconds / wallMilliseconds)
    })
${count(profile.dispatches)} dispatches in ${count(profile.submits)} submits; created ` +
    `${count(profile.buffersCreated)} buffers, ${count(profile.bindGroupsCreated)} bind groups, ` +
    `${count(profile.pipelinesCreated)} pipelines`;
}

/** Formats a mean of counts, without decimals if it is an integer. */
function count(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
