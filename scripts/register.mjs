// Lets Node run the sources as they stand: TypeScript is stripped by esbuild, `.wgsl` files are imported as text, with
// what they include.
import { register } from "node:module";

process.setSourceMapsEnabled(true);
register("./loader.mjs", import.meta.url);
