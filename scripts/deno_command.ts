import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../node_modules/deno", import.meta.url));

/** The project's own Deno. */
export const denoPath = join(folder, process.platform === "win32" ? "deno.exe" : "deno");

/**
 * Environment variables for output that programs read, nothing asked of the network, and, on Linux, Vulkan or nothing: Deno
 * falls back on OpenGL, whose software driver takes minutes over a matrix product.
 */
export const denoEnvironment: Readonly<Record<string, string>> = {
  NO_COLOR: "1",
  DENO_NO_UPDATE_CHECK: "1",
  ...(process.platform === "linux" && { DENO_WEBGPU_BACKEND: "vulkan" }),
};
