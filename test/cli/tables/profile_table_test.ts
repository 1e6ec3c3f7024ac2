import assert from "node:assert/strict";
import { test } from "node:test";
import { profileTable } from "../../../src/cli/tables/profile_table.ts";

test("profileTable() gives means of a step, rates of the kernels, and the whole step", () => {
  const text = profileTable({
    method: "fedit",
    members: 2,
    steps: 4,
    kernels: [
      // 12 calls in 4 steps; 24 GFLOP in 12 s, 6 GB in 12 s.
      {
        kernel: "matmul",
        variant: "NT WITH_A_VERY_LONG_LIST_OF_CONSTANTS=1",
        calls: 12,
        milliseconds: 12_000,
        flops: 24e9,
        bytes: 6e9,
      },
      { kernel: "unary", variant: "OP=RELU", calls: 6, milliseconds: 4000, flops: null, bytes: 2e9 },
      { kernel: "fill", variant: "", calls: 4, milliseconds: 0, flops: 5, bytes: 16 },
    ],
    gpuMilliseconds: 4000,
    wallMilliseconds: 5000,
    hostMilliseconds: 125,
    dispatches: 5.5,
    submits: 1,
    buffersCreated: 0,
    bindGroupsCreated: 0.25,
    pipelinesCreated: 0,
  });
  assert.deepEqual(text.split("\n"), [
    "A training step by fedit, 2 clients at once, mean of 4:",
    "",
    "kernel  variant                           calls        ms   share  GFLOP/s  GB/s",
    "------  --------------------------------  -----  --------  ------  -------  ----",
    "matmul  NT                                    3  3000.000  75.0 %      2.0   0.5",
    "        WITH_A_VERY_LONG_LIST_OF_CONSTA…",
    "unary   OP=RELU                             1.5  1000.000  25.0 %            0.5",
    "fill                                          1     0.000   0.0 %",
    "",
    "All of a step: 4000.0 ms in kernels; 5000.0 ms from step to step without the profiler, of which the host " +
    "worked for 125.0 ms (2.5 %)",
    "5.5 dispatches in 1 submits; created 0 buffers, 0.3 bind groups, 0 pipelines",
  ]);
});
