import { checkClients } from "../check_clients.ts";
import { clientsOption } from "../option_schemas.ts";
import { definePartitioner } from "../partitioner.ts";
import { kMeans } from "./k_means.ts";

/**
 * Skew of what examples are about, for tasks without classes: examples are clustered by their embeddings, and each cluster is a
 * client. Sizes are as the clusters are. For more clients than topics, share clusters out as classes: `by: { clusters: 10 }` of
 * a configuration, as Lin et al. do ("FedNLP", NAACL Findings 2022).
 *
 * @throws {TypeError} if a number isn't finite.
 * @throws {RangeError} if there are fewer different embeddings than clients.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const input = { numExamples: 4, embeddings: { data: [0, 9, 0.1, 9.1], size: 1 } };
 * const { clients } = embeddingClustersPartitioner({ numClients: 2 }).partition(input, { seed: 1 });
 * assert.deepEqual(clients.toSorted(), [[0, 2], [1, 3]]);
 * ```
 */
export const embeddingClustersPartitioner = definePartitioner({
  kind: "embedding-clusters",
  summary: "a client for each cluster of the pretrained encoder's embeddings",
  shape: { numClients: clientsOption },
  needs: ["embeddings"],
  example: { numClients: 10 },
  share({ numExamples, embeddings }, { numClients }, stream) {
    checkClients(numExamples, numClients);
    const clients: number[][] = Array.from({ length: numClients }, () => []);
    for (const [i, c] of kMeans(embeddings, { numClusters: numClients, stream }).labels.entries()) {
      clients[c]!.push(i);
    }
    return clients;
  },
});
