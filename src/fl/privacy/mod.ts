export * from "./accounting/mod.ts";
export { PrivacyBudgetError } from "./budget.ts";
export { clipUpdates, type ClipUpdatesOptions } from "./clip.ts";
export { type NoisePurpose, type NoiseSource, secretNoise, seededNoise } from "./noise.ts";
export { type NoisePlan, type NoisePlanOptions, planNoise } from "./plan_noise.ts";
export { type AdaptiveOptions } from "./adaptive_clip.ts";
export * from "./privacy_report.ts";
export * from "./stage.ts";
