import { builtinModules } from "node:module";
import type { Plugin } from "esbuild";

/**
 * Lets modules with Node-only functions be part of a browser bundle: every member of a Node module becomes a stand-in
 * that may be imported, kept and extended, and throws by name when it is called, read from or turned into text, so that
 * the bundle loads and only the call that needs Node fails. `process` isn't stood in for: reading any member of it throws.
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
  return `
const fail = (action, name) => {
  throw new Error("Cannot " + action + " " + name + " of Node's ${path} module: it exists in Node alone");
};
const standIn = (name) => new Proxy(function () {}, {
  apply: () => fail("call", name),
  construct: () => fail("call", name),
  get(target, member) {
    if (member === "prototype") return target.prototype;
    if (member === Symbol.toPrimitive) return fail("use", name);
    return typeof member === "symbol" ? undefined : fail("use", name + "." + member);
  },
});
module.exports = Object.create(new Proxy({}, {
  get(_, name) {
    if (typeof name === "symbol" || name === "__esModule" || name === "then") return undefined;
    return ${path === "process"} ? fail("use", name) : standIn(name);
  },
}));`;
}
