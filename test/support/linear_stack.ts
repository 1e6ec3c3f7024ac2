import { type Gpu, Layer, Linear, tanh, type Tensor } from "../../src/engine/mod.ts";
import { F64Array } from "../reference/array.ts";
import { upload } from "../engine/harness.ts";
import { gaussian } from "./matrices.ts";
import { Random } from "./random.ts";

/** A small model for adapter tests: linear layers with tanh between them, the last one named `head`. */
export class LinearStack extends Layer {
  readonly layers: readonly Layer[];
  readonly head: Linear;

  constructor(layers: readonly Linear[], head: Linear) {
    super();
    this.layers = layers;
    this.head = head;
  }

  override forward(x: Tensor): Tensor {
    return this.head.forward(this.layers.reduce((h, layer) => tanh(layer.forward(h)), x));
  }
}

/** A stack over the given widths, the last of which is the head's, with normal weights scaled by 1/√in. */
export function linearStack(gpu: Gpu, widths: readonly number[], seed: number): LinearStack {
  const random = new Random(seed);
  const linears = widths.slice(1).map((out, i) => {
    const width = widths[i]!;
    const weight = F64Array.fromF32(
      [out, width],
      gaussian([out, width], random).map((each) => each / Math.sqrt(width)).data,
    );
    return new Linear(
      upload(gpu, weight),
      upload(gpu, F64Array.fromF32([out], gaussian([out], random).data)),
    );
  });
  return new LinearStack(linears.slice(0, -1), linears.at(-1)!);
}
