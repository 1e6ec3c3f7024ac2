export * from "./config.ts";
export * from "./distances.ts";
export * from "./model.ts";
