import { zeros } from "../../engine/mod.ts";
import { PriloraLinear } from "../layers/factored/prilora_linear.ts";
import type { Initialization } from "./initialization.ts";
import { lora } from "./lora.ts";

/** LoRA's own start, on layers that observe their inputs. */
export const observedLora: Initialization = async (weights, options) =>
  (await lora(weights, options)).map(({ weight, loraA, loraB }) => {
    const inputNorms = zeros(weight.gpu, [weight.shape[1]!]);
    const parts = { weight, loraA, loraB };
    return { ...parts, create: (rest) => new PriloraLinear({ ...parts, inputNorms, ...rest }) };
  });
