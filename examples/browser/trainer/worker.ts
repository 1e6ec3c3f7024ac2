// The worker in which a page trains, so that it never freezes. Its first message says whether it has WebGPU.
import type { Port } from "../common/remote.ts";
import { serveTrainer } from "./serve.ts";

const hasGpu = "gpu" in navigator && navigator.gpu !== undefined &&
  await navigator.gpu.requestAdapter() !== null;
const port = self as unknown as Port;
serveTrainer(port);
port.postMessage({ hasGpu });
