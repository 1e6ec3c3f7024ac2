export { type DistilBertConfig, parseDistilBertConfig } from "./config.ts";
export * from "./model.ts";
