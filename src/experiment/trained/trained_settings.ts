import type { TaskKind } from "../../tasks/mod.ts";

/** What a trained model's files don't say, or the user overrides. */
export interface TrainedSettings {
  /** Source of the encoder, instead of the one that is recorded. */
  readonly base?: string | undefined;
  /** Names of the outputs, in their order. */
  readonly labels?: readonly string[] | undefined;
  /** Tokens of a text. */
  readonly maxLength?: number | undefined;
  /** What the model was trained for. */
  readonly task?: TaskKind | undefined;
}
