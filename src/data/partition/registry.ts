import { dirichletPartitioner } from "./label/dirichlet.ts";
import { distributionPartitioner } from "./label/distribution.ts";
import { innerDirichletPartitioner } from "./label/inner_dirichlet.ts";
import { pathologicalPartitioner } from "./label/pathological.ts";
import { shardPartitioner } from "./label/shard.ts";
import { continuousPartitioner } from "./natural/continuous.ts";
import { embeddingClustersPartitioner } from "./natural/embedding_clusters.ts";
import { groupedNaturalIdPartitioner } from "./natural/grouped_natural_id.ts";
import { naturalIdPartitioner } from "./natural/natural_id.ts";
import { exponentialPartitioner } from "./quantity/exponential.ts";
import { iidPartitioner } from "./quantity/iid.ts";
import { linearPartitioner } from "./quantity/linear.ts";
import { sizePartitioner } from "./quantity/size.ts";
import { squarePartitioner } from "./quantity/square.ts";

/** The factory of every kind of partitioners, in the order in which lists name them. */
export const partitioners = [
  iidPartitioner,
  sizePartitioner,
  linearPartitioner,
  squarePartitioner,
  exponentialPartitioner,
  dirichletPartitioner,
  innerDirichletPartitioner,
  distributionPartitioner,
  pathologicalPartitioner,
  shardPartitioner,
  naturalIdPartitioner,
  groupedNaturalIdPartitioner,
  continuousPartitioner,
  embeddingClustersPartitioner,
] as const;
