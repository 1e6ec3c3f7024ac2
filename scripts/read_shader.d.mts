import type { Plugin } from "esbuild";

/** The text of a `.wgsl` file with what it includes. */
export function readShader(path: string): string;

/** Lets esbuild import `.wgsl` files as text. */
export const shaders: Plugin;
