import process from "node:process";
import { fileURLToPath } from "node:url";
import { readShader } from "./read_shader.mjs";
import { transformed } from "./transform_cache.mjs";

const pretendedGpu = new URL("pretended_gpu.mjs", import.meta.url).href;

export async function resolve(specifier, context, nextResolve) {
  const isPretended = process.env.FEDERA_PRETEND_GPU && specifier === "webgpu" &&
    context.parentURL !== pretendedGpu;
  return isPretended ? { url: pretendedGpu, shortCircuit: true } : await nextResolve(specifier, context);
}

export async function load(url, context, nextLoad) {
  if (url.endsWith(".wgsl")) {
    const text = readShader(fileURLToPath(url));
    return { format: "module", shortCircuit: true, source: `export default ${JSON.stringify(text)};` };
  }
  if (url.endsWith(".ts") && url.startsWith("file:") && !url.includes("/node_modules/")) {
    return { format: "module", shortCircuit: true, source: await transformed(fileURLToPath(url)) };
  }
  return nextLoad(url, context);
}
