import registerSource from "../../../shaders/attention/attention_register.wgsl";
import registerGradientSource from "../../../shaders/attention/attention_register_gradient.wgsl";
import workgroupSource from "../../../shaders/attention/attention_workgroup.wgsl";
import workgroupGradientSource from "../../../shaders/attention/attention_workgroup_gradient.wgsl";
import type { AttentionLaunch, FusedAttentionPlan } from "./attention_plan.ts";
import { f32Bits } from "../../gpu/device.ts";
import { type BindingAccess, Kernel } from "../../gpu/kernel.ts";
import { empty, type Tensor } from "../../tensor.ts";
import type { Attention, AttentionPath } from "./_attention.ts";
import { launch } from "../launch.ts";

const inputs: readonly BindingAccess[] = ["read", "read", "read", "read"];

/** The kernels of one family: forward, gradient by the queries, gradient by keys and values apart or in one tensor. */
function kernelsOf(name: string, forward: string, gradient: string) {
  const kernel = (part: string, source: string, bindings: readonly BindingAccess[]) =>
    new Kernel({
      name: `attention_${name}_${part}`,
      source,
      bindings: [...inputs, ...bindings],
    });
  return {
    forward: kernel("forward", forward, ["write", "write"]),
    queries: kernel("queries", gradient, ["read", "read", "write", "write"]),
    keys: kernel("keys", gradient, ["read", "read", "write", "write"]),
    joinedKeys: kernel("keys", gradient, ["read", "read", "write"]),
  };
}

const kernels = {
  register: kernelsOf("register", registerSource, registerGradientSource),
  workgroup: kernelsOf("workgroup", workgroupSource, workgroupGradientSource),
};

/**
 * Attention in one pass over the keys that never holds more than a tile of scores (T. Dao, "FlashAttention-2", arXiv
 * 2307.08691). It keeps four numbers for each query, from which the gradients compute the weights again.
 */
export function fusedAttention(plan: FusedAttentionPlan): AttentionPath {
  const { forward, queries, keys, joinedKeys } = kernels[plan.shader];
  return {
    forward(attention) {
      const { sequences, heads, output } = attention;
      const rows = empty(output.gpu, [sequences, heads, attention.queries, 4]);
      run(forward, attention, { ...plan.forward, tensors: [output, rows], products: 2 });
      return rows;
    },

    gradient(attention, { saved: rows, dy, gradients }) {
      const [dq, dk, dv] = [gradients.q.tensor, gradients.k.tensor, gradients.v.tensor];
      run(queries, attention, {
        ...plan.queries,
        tensors: [dy, attention.output, rows, dq],
        flags: { OF_KEYS: false, JOINED: false },
        products: 3,
      });
      const joined = dk === dv;
      run(joined ? joinedKeys : keys, attention, {
        ...plan.keys,
        tensors: [dy, rows, dk, ...(joined ? [] : [dv])],
        flags: { OF_KEYS: true, JOINED: joined },
        products: 4,
      });
    },
  };
}

interface RunOptions extends AttentionLaunch {
  /** What is bound after Q, K, V and the mask. */
  readonly tensors: readonly Tensor[];
  readonly flags?: Readonly<Record<string, boolean>>;
  /** Products of the size queries × keys × head. */
  readonly products: number;
}

function run(kernel: Kernel, attention: Attention, options: RunOptions): void {
  const { q, k, v, mask, sequences, heads, queries, keys, headSize, scale } = attention;
  const { tensors, flags, constants, workgroups, products } = options;
  const perKey = mask?.size === sequences * keys;
  const inVectors = [q.offset, q.row, k.offset, k.row, v.offset, v.row, heads * headSize, headSize];
  launch(kernel, {
    tensors: [q.tensor, k.tensor, v.tensor, mask ?? q.tensor, ...tensors],
    params: [queries, keys, heads, sequences, ...inVectors.map((each) => each / 4), f32Bits(scale)],
    workgroups,
    constants: {
      ...constants,
      ...flags,
      MASK_KEYS: mask !== undefined && perKey,
      MASK_SCORES: !perKey && mask !== undefined,
    },
    flops: 2 * products * sequences * heads * queries * keys * headSize,
  });
}
