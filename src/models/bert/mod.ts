export * from "./config.ts";
export * from "./model.ts";
export * from "./parameters.ts";
