import type { Backbone } from "../../models/mod.ts";
import { embedExamples, type ExampleEmbeddings, type TaskSet } from "../../tasks/mod.ts";
import type { Reporter } from "../report/reporter.ts";

/** Embeds the examples of a set for a partition by clusters, and shows how far that is. */
export async function embedTexts(
  encoder: Backbone,
  set: TaskSet,
  reporter: Reporter,
): Promise<ExampleEmbeddings> {
  const embeddings = await embedExamples(encoder, set, {
    onProgress: (done, total) => reporter.progress("embedding texts", done, total, { unit: "texts" }),
  });
  reporter.endProgress();
  return embeddings;
}
