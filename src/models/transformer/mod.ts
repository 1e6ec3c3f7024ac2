export type { HiddenActivation, TransformerConfig } from "./config.ts";
export { TransformerEncoder, type TransformerEncoderOptions } from "./encoder.ts";
