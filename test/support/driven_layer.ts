import { assign, type Gpu, tensor, tidy } from "../../src/engine/mod.ts";
import { adaptersOf } from "../../src/federa/mod.ts";
import type { Method } from "../../src/fl/mod.ts";
import { F64Array } from "../reference/array.ts";
import { type ClientUpload, DrivenMethod, type UploadOptions } from "./driven_method.ts";
import { tinyClassifier } from "./tiny_encoder.ts";

/** The one layer that a {@link DrivenLayer} adapts. */
export const layer = "encoder.inner";

/** The factors that a client has trained, row-major; those that it isn't asked for don't go up. */
export interface Factors {
  readonly a?: ArrayLike<number>;
  readonly b?: ArrayLike<number>;
}

/** Sizes of a {@link DrivenLayer}, and its pretrained weight, which is random by default. */
export interface DrivenLayerOptions {
  readonly out: number;
  readonly width: number;
  readonly weight?: readonly number[];
}

/** A method on a model of which one layer [out, in] is adapted, with clients whose factors a test gives. Their heads are zero. */
export class DrivenLayer {
  readonly driven: DrivenMethod;

  private constructor(driven: DrivenMethod) {
    this.driven = driven;
  }

  static async start(gpu: Gpu, method: Method, options: DrivenLayerOptions): Promise<DrivenLayer> {
    const { out, width, weight } = options;
    const pretrained = tinyClassifier(gpu, { width, inner: out, classes: 2, seed: 3 });
    for (const [name, parameter] of pretrained.namedParameters()) {
      if (weight !== undefined && name === `${layer}.weight`) {
        assign(parameter, tensor(gpu, weight, { shape: [out, width] }));
      }
    }
    return new DrivenLayer(await DrivenMethod.start(method, pretrained));
  }

  /** Plays a round. */
  async aggregate(clients: readonly Factors[], options: UploadOptions): Promise<void> {
    const uploads = clients.map(({ a, b }): ClientUpload =>
      new Map([...this.driven.shared].map(([name, { size }]) => {
        const own = name.endsWith(".loraA") ? a : name.endsWith(".loraB") ? b : new Float32Array(size);
        if (own === undefined) throw new Error(`the round asks for ${name}`);
        return [name, own];
      }))
    );
    await this.driven.aggregate(uploads, options);
  }

  /** The layer's global A, B and frozen weight, and the weight that they make together. */
  async values(): Promise<Record<"a" | "b" | "frozen" | "effective", F64Array>> {
    const adapter = adaptersOf(this.driven.global).get(layer)!;
    using effective = tidy(() => adapter.effectiveWeight());
    const read = async ({ shape, floats }: { shape: readonly number[]; floats(): Promise<Float32Array> }) =>
      F64Array.from(shape, await floats());
    const [a, b, frozen, whole] = await Promise.all(
      [adapter.loraA, adapter.loraB, adapter.weight, effective].map((each) =>
        read({ shape: each.shape, floats: () => each.floats() })
      ),
    );
    return { a: a!, b: b!, frozen: frozen!, effective: whole! };
  }
}
