/**
 * Adapters: LoRA, FeDeRA, other kinds, and their files.
 *
 * @module
 */
export * from "./files/adapter_file.ts";
export * from "./adapters.ts";
export * from "./errors.ts";
export * from "./files/export.ts";
export * from "./starts/federa.ts";
export * from "./starts/given.ts";
export * from "./starts/initialization.ts";
export * from "./files/fingerprint.ts";
export * from "./files/inspect.ts";
export * from "./files/own_tensors.ts";
export * from "./kinds/mod.ts";
export * from "./starts/leading_factors.ts";
export * from "./starts/lora.ts";
export * from "./starts/olora.ts";
export * from "./starts/other_triplets.ts";
export * from "./layers/adapted_linear.ts";
export * from "./layers/bottleneck_linear.ts";
export * from "./layers/dora_linear.ts";
export { FactoredLinear } from "./layers/factored_linear.ts";
export * from "./layers/lora_xs_linear.ts";
export * from "./layers/lora_layers.ts";
export * from "./layers/offset_linear.ts";
export * from "./layers/layer_offset.ts";
export * from "./layers/prefix_attention.ts";
export * from "./layers/scaled_attention.ts";
export * from "./layers/virtual_tokens.ts";
export * from "./sets/mod.ts";
export * from "./layers/low_rank_linear.ts";
export * from "./layers/pst_linear.ts";
export * from "./layers/plain_adapter.ts";
export * from "./layers/ravan_linear.ts";
export * from "./layers/sparse_block_linear.ts";
export * from "./starts/ravan.ts";
export * from "./layers/scaling.ts";
export * from "./patterns/layer_settings.ts";
export * from "./patterns/patterns.ts";
export * from "./peft/mod.ts";
export * from "./starts/residual.ts";
export * from "./starts/taken_out.ts";
export * from "./rounding.ts";
export * from "./spectrum.ts";
export * from "./layers/prilora_linear.ts";
export * from "./layers/triplet_linear.ts";
export * from "./starts/observed_lora.ts";
export * from "./starts/triplets.ts";
