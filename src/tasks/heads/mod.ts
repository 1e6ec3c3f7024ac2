export * from "./head.ts";
export * from "./sentence_head.ts";
