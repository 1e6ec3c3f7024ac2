import { Layer, type Tensor } from "../../engine/mod.ts";

/** The place behind a layer where something else may take part. A point by itself changes nothing; a subclass stands in its place. */
export class LayerPoint extends Layer {
  /** Of the layer's states. */
  readonly width: number;

  constructor({ width }: { readonly width: number }) {
    super();
    this.width = width;
  }

  /** The states to go on with in place of x [..., R, width]. */
  override forward(x: Tensor): Tensor {
    return x;
  }
}
