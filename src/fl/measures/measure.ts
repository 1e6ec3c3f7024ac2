import type { Tensor } from "../../engine/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";

/** What measures see of the uploads of some clients. */
export interface MeasuredUploads {
  /** Values of what was sent, [C, ...] by name. */
  readonly values: ReadonlyMap<string, Tensor>;
  /** w_k, what each client counts for. */
  readonly shares: readonly number[];
  /** The same on the GPU, f32 [C]. */
  readonly weights: Tensor;
}

/** Figures of a round by name; null where one has no meaning. */
export type Figures = Readonly<Record<string, number | null>>;

/**
 * Something that is observed of rounds. Optional, never in the way of a round, and it keeps none of the tensors it's given
 * longer than that.
 */
export interface Measure {
  readonly name: string;
  /** Begins a round with the global model, whose tensors stay as they are until its end. */
  begin(model: TaskModel): void;
  /** Sees what clients sent, in the order of client numbers. */
  add(uploads: MeasuredUploads): void;
  /** The round's figures, with the global model after it. There is one readback, which measures that end together share. */
  end(model: TaskModel): Promise<Figures>;
  /** Frees what it holds of a round, whether ended or given up. */
  dispose(): void;
  /** Frees what it holds of the run. */
  close?(): void;
}

/** Where a run starts. */
export interface MeasureContext {
  readonly pretrained: TaskModel;
  /** The pretrained model with what the method put on it, before the first round. */
  readonly initial: TaskModel;
}

/** Makes a measure for a run. */
export type MeasureFactory = (context: MeasureContext) => Measure;
