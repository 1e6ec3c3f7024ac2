import process from "node:process";
import { fileURLToPath } from "node:url";
import { readShader } from "./read_shader.mjs";
import { transformed } from "./transform_cache.mjs";

const pretendedGpu = new URL("pretended_gpu.mjs", import.meta.url).href;

/** Examples name the package as its users do; here they get its sources. */
const root = new URL("../", import.meta.url).href;
const face = /^federa(?:\/([a-z]+))?$/;

export async function resolve(specifier, context, nextResolve) {
  // Imports of the sources name a file as it is. Node would look for it, a tenth of what it takes to start.
  if (specifier.startsWith(".") && specifier.endsWith(".ts")) {
    return { url: new URL(specifier, context.parentURL).href, format: "module", shortCircuit: true };
  }
  const [named, folder] = face.exec(specifier) ?? [];
  if (named !== undefined && context.parentURL?.startsWith(`${root}examples/`)) {
    const url = new URL(folder === undefined ? "src/mod.ts" : `src/${folder}/mod.ts`, root).href;
    return { url, shortCircuit: true };
  }
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
