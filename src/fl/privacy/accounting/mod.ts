export * from "./noise_multiplier_for.ts";
export * from "./privacy_spent.ts";
export * from "./sampled_gaussian.ts";
