/**
 * Ways to share a data set out among simulated clients. Each returns, for each client, the indices of its examples.
 *
 * @module
 */
export { partitionByKey } from "./by_key.ts";
export { partitionDirichlet, type PartitionDirichletOptions } from "./dirichlet.ts";
export { partitionIid, type PartitionIidOptions } from "./iid.ts";
