import { aggregationError } from "./aggregation_error.ts";
import { clientDispersion } from "./client_dispersion.ts";
import type { MeasureFactory } from "./measure.ts";
import { subspaceAngles } from "./subspace_angles.ts";
import { weightVariation } from "./weight_variation.ts";

export * from "./measure.ts";
export { aggregationError, clientDispersion, subspaceAngles, weightVariation };

/** Every measure by name. */
export const measures: ReadonlyMap<string, MeasureFactory> = new Map<string, MeasureFactory>([
  ["aggregation-error", aggregationError],
  ["weight-variation", weightVariation],
  ["client-dispersion", clientDispersion],
  ["subspace-angles", subspaceAngles],
]);

/** Names of the measures that look at the upload of each client, which secure aggregation hides. */
export const measuresOfEach: ReadonlySet<string> = new Set(["aggregation-error", "client-dispersion"]);
