export { parseRobertaConfig, type RobertaConfig, type RobertaType } from "./config.ts";
export * from "./model.ts";
