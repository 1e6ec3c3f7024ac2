import { type Gpu, sizeOf, type Tensor, tensor } from "../../engine/mod.ts";
import type { ColumnData, Inputs } from "../../models/mod.ts";
import { mapColumns, zerosAs } from "../columns.ts";
import { layOut, placeRows, type RowLayout } from "../row_layout.ts";
import type { RowTensors } from "../task.ts";
import type { BlockBatches } from "./batches.ts";

/** What a step of a block reads. */
export interface StepRows extends RowTensors {
  /** Of each loss: [members, batchSize, targetsPerRow]; [members, rows] where every token has a loss and tokens are packed. */
  readonly weights: Tensor;
  /** [members]: 1 while a member has work, then 0. */
  readonly active: Tensor;
}

/** Options of {@linkcode uploadStep}. */
export interface UploadStepOptions {
  readonly step: number;
  /** Whether the encoder takes tokens without padding between texts. */
  readonly packsTokens: boolean;
  /** Whether every token has a target. */
  readonly hasTargetPerToken: boolean;
}

/** The layout of a step; all padding is kept where tokens aren't packed, as sums over rows would depend on how much is cut. */
function layoutOf({ tokens, length }: BlockBatches, { step, packsTokens }: UploadStepOptions): RowLayout {
  return packsTokens && tokens ? layOut(tokens[step]!, { longest: length }) : { length };
}

/** Uploads what a step reads, without the padding that no text of the step needs. */
export function uploadStep(gpu: Gpu, batches: BlockBatches, options: UploadStepOptions): StepRows {
  const { members, batchSize, targetsPerRow, inputs, targets, weights, active } = batches;
  const { step, hasTargetPerToken } = options;
  const { length, rows } = layoutOf(batches, options);
  const count = members * batchSize;
  const upload = (data: ColumnData, shape: readonly number[], perToken: boolean): Tensor => {
    const width = sizeOf(shape);
    const kept = perToken ? [length, ...shape.slice(1)] : shape;
    const own = data.subarray(step * count * width, (step + 1) * count * width);
    return tensor(gpu, cut(own, width, sizeOf(kept)), { shape: [members, batchSize, ...kept] });
  };
  const weightsOf = () => upload(weights, [targetsPerRow], hasTargetPerToken);
  const shared = {
    inputs: mapColumns(inputs, ({ data, shape, perToken }) => upload(data, shape, perToken)),
    targets: upload(targets, [targetsPerRow], hasTargetPerToken),
    active: tensor(gpu, active.subarray(step * members, (step + 1) * members)),
  };
  if (rows === undefined) return { ...shared, weights: weightsOf() };
  const own = batches.tokens![step]!;
  const places = placeRows(own, { length, rows });
  const ofRows = (data: ColumnData) => tensor(gpu, data, { shape: [members, rows] });
  return {
    ...shared,
    weights: hasTargetPerToken ? ofRows(weightsOfRows()) : weightsOf(),
    inputs: {
      ...shared.inputs,
      rowTokens: ofRows(places.rowTokens),
      tokenRows: tensor(gpu, places.tokenRows, { shape: [members, batchSize, length] }),
      rowPositions: ofRows(places.rowPositions),
    },
  };

  /** A member's losses all weigh the same; padding weighs nothing. */
  function weightsOfRows(): Float32Array {
    const packed = new Float32Array(members * rows!);
    own.forEach((counts, member) => {
      const weight = weights[(step * members + member) * batchSize * targetsPerRow]!;
      const end = member * rows! + counts.reduce((sum, each) => sum + each, 0);
      packed.fill(weight, member * rows!, end);
    });
    return packed;
  }
}

/** What the first batches of a block hold, padded to the length of the set: the same beside any others. */
export function firstInputs(gpu: Gpu, batches: BlockBatches): Inputs {
  return uploadStep(gpu, batches, { step: 0, packsTokens: false, hasTargetPerToken: false }).inputs;
}

/** The first `kept` of every `width` numbers. */
function cut<Data extends ColumnData>(data: Data, width: number, kept: number): Data {
  if (kept === width) return data;
  const count = data.length / width;
  const result = zerosAs(data, count * kept);
  for (let i = 0; i < count; i++) result.set(data.subarray(i * width, i * width + kept), i * kept);
  return result;
}
