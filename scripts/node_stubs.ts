import { builtinModules } from "node:module";
import type { Plugin } from "esbuild";

/**
 * Lets modules with Node-only functions be part of a browser bundle: every member of a Node module becomes a function
 * that throws when it is called, so that the bundle loads and only the call that needs Node fails.
 */
export const nodeStubs: Plugin = {
  name: "node-stubs",
  setup(build) {
    const names = builtinModules.filter((name) => !name.startsWith("_")).join("|");
    build.onResolve({ filter: new RegExp(`^(node:.*|${names})$`) }, ({ path }) => {
      return { path: path.replace(/^node:/, ""), namespace: "node-stub", sideEffects: false };
    });
    build.onLoad({ filter: /.*/, namespace: "node-stub" }, ({ path }) => {
      return { contents: stubModule(path) };
    });
  },
};

/** A CommonJS module, which may have members that are not listed; esbuild looks them up along the prototype. */
function stubModule(path: string): string {
  return `module.exports = Object.create(new Proxy({}, {
    get(_, name) {
      if (typeof name === "symbol" || name === "__esModule" || name === "then") return undefined;
      return function () {
        throw new Error("Cannot call " + name + " of Node's ${path} module: it exists in Node alone");
      };
    },
  }));`;
}
