export { type ElectraConfig, parseElectraConfig } from "./config.ts";
export * from "./model.ts";
