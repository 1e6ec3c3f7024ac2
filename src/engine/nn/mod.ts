export * from "./layers.ts";
export * from "./module.ts";
