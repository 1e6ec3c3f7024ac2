/**
 * Ways to share a data set out among simulated clients, under the names of Flower's partitioners.
 *
 * @module
 */
export { dirichletPartitioner } from "./label/dirichlet.ts";
export { distributionPartitioner } from "./label/distribution.ts";
export { innerDirichletPartitioner } from "./label/inner_dirichlet.ts";
export { labelPermutations, type LabelPermutationsOptions } from "./label/label_permutations.ts";
export { pathologicalPartitioner } from "./label/pathological.ts";
export { shardPartitioner } from "./label/shard.ts";
export { continuousPartitioner } from "./natural/continuous.ts";
export { embeddingClustersPartitioner } from "./natural/embedding_clusters.ts";
export { groupedNaturalIdPartitioner } from "./natural/grouped_natural_id.ts";
export { type Clusters, kMeans, type KMeansOptions, nearestClusters } from "./natural/k_means.ts";
export { naturalIdPartitioner } from "./natural/natural_id.ts";
export * from "./partitioner.ts";
export { exponentialPartitioner } from "./quantity/exponential.ts";
export { iidPartitioner } from "./quantity/iid.ts";
export { linearPartitioner } from "./quantity/linear.ts";
export { sizePartitioner } from "./quantity/size.ts";
export { squarePartitioner } from "./quantity/square.ts";
export { partitioners } from "./registry.ts";
export { shareAlike, type ShareAlikeInput } from "./share_alike.ts";
export { measureSkew, type PartitionSkew } from "./skew.ts";
