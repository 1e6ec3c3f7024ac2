export * from "./dtype.ts";
export * from "./open_weights.ts";
export * from "./safetensors.ts";
export * from "./safetensors_file.ts";
export * from "./save_weights.ts";
export * from "./weight_source.ts";
export * from "./write_safetensors.ts";
