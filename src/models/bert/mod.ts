export { type BertConfig, parseBertConfig } from "./config.ts";
export * from "./model.ts";
