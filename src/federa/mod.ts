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
export { FactoredLinear } from "./layers/factored/factored_linear.ts";
export * from "./layers/factored/lora_xs_linear.ts";
export * from "./layers/lora_layers.ts";
export * from "./layers/factored/offset_linear.ts";
export * from "./layers/points/layer_offset.ts";
export * from "./layers/points/prefix_attention.ts";
export * from "./layers/points/scaled_attention.ts";
export * from "./layers/points/virtual_tokens.ts";
export * from "./sets/mod.ts";
export * from "./layers/factored/low_rank_linear.ts";
export * from "./layers/pst_linear.ts";
export * from "./layers/factored/plain_adapter.ts";
export * from "./layers/factored/ravan_linear.ts";
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
export * from "./layers/factored/prilora_linear.ts";
export * from "./layers/factored/triplet_linear.ts";
export * from "./starts/observed_lora.ts";
export * from "./starts/triplets.ts";
