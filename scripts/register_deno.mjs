// Lets Deno run the sources as they stand, as register.mjs lets Node: `.wgsl` files are imported as text, with what they
// include. TypeScript is Deno's own affair.
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import { readShader } from "./read_shader.mjs";

registerHooks({
  load(url, context, nextLoad) {
    if (!url.endsWith(".wgsl")) return nextLoad(url, context);
    const source = `export default ${JSON.stringify(readShader(fileURLToPath(url)))};`;
    return { format: "module", shortCircuit: true, source };
  },
});
