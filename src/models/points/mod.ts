export { AttentionPoint, type AttentionPointOptions } from "./attention_point.ts";
export { LayerPoint } from "./layer_point.ts";
export { TokenPoint, type TokenPointOptions } from "./token_point.ts";
