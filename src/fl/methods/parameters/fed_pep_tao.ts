import { z } from "zod";
import { add, mul, sub, tidy } from "../../../engine/mod.ts";
import { attachPrefixes, checkPrefixes, parametersWithin, PrefixAttention } from "../../../federa/mod.ts";
import { Held } from "../../held.ts";
import { isHead, type Method, type RoundPlan, trainableParameters, withOwnParameters } from "../../method.ts";
import { pick, prefixed, shapesOf, take, type Tensors, withoutPrefix, zeroTensors } from "../../tensors.ts";
import { chooseLargest } from "../parts/scouting/choose_largest.ts";
import { defineMethod } from "../define_method.ts";
import { afterFirstRound } from "../parts/scouting/first_round.ts";
import { layerOf, layersOf } from "../parts/adapters/layer_names.ts";
import { CHANGE, CONTROL, OWN, partialPromptRule, SCORES } from "../parts/local/partial_prompt_rule.ts";

/** Where the server's learning rate stops falling. */
const leastRate = 1e-4;

/** What a run keeps. */
type State = {
  /** Keys and values of all layers, and the head. */
  readonly global: Tensors;
  /** Layers that are shared; none before the first round. */
  readonly chosen: readonly string[];
  /** c. */
  readonly control: Tensors;
  /** v. */
  readonly momentum: Tensors;
  readonly numClients: number;
};

/**
 * FedPepTAO (Che et al., arXiv 2310.15080): keys and values in front of texts, as `prefix-tuning`, of which those of the layers that score
 * highest are shared and the others stay with their client, each client's own model being evaluated. In round 1 all are averaged, and clients score each layer
 * by the pretrained states of their first batch, see `layerScore`; the scores are averaged by the clients' examples. From round 2 the
 * server moves by momentum and control variates: v ← β·v + (1 − β)·Σ p_k·(x − y_k), x ← x − η·(v + c − Σ p_k·c_k), with η falling by a
 * factor each round. Clients keep c_k⁺ = c_k − c + (x − y_k)/(steps·learning rate), and c moves by |S|/N of the mean of c_k⁺ − c_k. What
 * the sheet of the method leaves open: c_k is the one from before the round, as c is; the number of layers is an option instead of the
 * paper's analysis of the Hessian's spectrum, which needs many passes over clients' data.
 */
export const fedPepTao = defineMethod({
  name: "fedpeptao",
  trains: "keys and values in front of texts; those of low-scoring layers stay with the client",
  server: "averages scores, then moves by momentum and control variates",
  rule: "v ← β·v + (1 − β)·Σ p_k·(x − x_k), x ← x − η·(v + c − Σ p_k·c_k)",
  up:
    "K, V, c_k, c_k's change of a shared layer: 6·P·d; in round 1 of every layer K, V, c_k's change: 4·P·d, and its score: 1",
  down: "K, V, c of a shared layer: 4·P·d; in round 1 of every layer K, V: 2·P·d",
  papers: ["2310.15080"],
  options: z.strictObject({
    /** Number P of keys and values in each layer. */
    tokens: z.int().min(1).max(4096).default(20),
    /** Share of the layers that is shared, at least one. */
    share: z.number().gt(0).max(1).default(0.5),
    /** η of round 2. */
    serverRate: z.number().gt(0).max(1e3).default(0.05),
    /** What η falls by each round, down to 1e-4. */
    decay: z.number().gt(0).max(1).default(0.99),
    /** β. */
    momentum: z.number().min(0).lt(1).default(0.9),
  }),
  create({ tokens, share, serverRate, decay, momentum: beta }): Method<State> {
    return {
      name: "fedpeptao",
      positions: tokens,
      movesOtherwise: true,
      sendsOtherwise: true,
      unsoundWith: {
        robustAggregation: "its control variate must stay the mean of the clients' own: take prefix-tuning",
        asynchrony: "control variates of clients and server belong to one round: take prefix-tuning",
        errorFeedback: "scores and control variates must arrive in their round: take prefix-tuning",
        secureAggregation: "scores of layers have no bound that sums could be clipped at: take prefix-tuning",
        differentialPrivacy:
          "scores and control variates are sent beside what is clipped: take prefix-tuning",
        localPrivacy: "scores and control variates are sent beside what is clipped: take prefix-tuning",
      },
      check: (pretrained) => checkPrefixes(pretrained, { tokens }),
      init(pretrained, { seed, numClients }) {
        this.check(pretrained);
        const model = attachPrefixes(withOwnParameters(pretrained, isHead), { tokens, seed });
        const prefixes = parametersWithin(model, PrefixAttention);
        const global = trainableParameters(model, (name) => isHead(name) || prefixes.has(name));
        const zeros = () => zeroTensors(model.gpu, shapesOf(global));
        const state = { global, chosen: [], control: zeros(), momentum: zeros(), numClients };
        return Promise.resolve({ model, state });
      },
      parameters: ({ global }) => global,
      plan({ global, chosen, control }, round) {
        const names = [...global.keys()];
        const shapes = shapesOf(global);
        if (round === 1) {
          return { trained: names, local: partialPromptRule(shapes, layersOf(global, "keys")) };
        }
        const planOf = (shared: readonly string[]): RoundPlan => ({
          trained: names,
          shared,
          local: partialPromptRule(new Map(shared.map((name) => [name, shapes.get(name)!]))),
        });
        const shared = names.filter((name) => isHead(name) || chosen.includes(layerOf(name)));
        const sent = prefixed(CONTROL, pick(control, shared));
        return {
          ...planOf(shared),
          sent,
          given: (received) => planOf([...withoutPrefix(CONTROL, received).keys()]),
          download: afterFirstRound(
            { name: "fedpeptao", purpose: "whose scores choose the layers", isDone: chosen.length > 0 },
            (isNew) => new Map([...pick(global, isNew ? names : shared), ...sent]),
          ),
        };
      },
      async apply(state, { values, clients }, round) {
        using held = new Held();
        const { global, control, momentum, numClients } = state;
        const rate = Math.max(leastRate, serverRate * decay ** Math.max(0, round - 2));
        const scores = await values.get(SCORES)?.floats();
        const names = [...global.keys()].filter((name) => values.has(name));
        const moved = new Map(names.map((name) => {
          const [x, c, mean] = [take(global, name), take(control, name), take(values, name)];
          const next = tidy(() => {
            const own = add(c, mul(take(values, CHANGE + name), clients.length / numClients));
            if (round === 1) return { x: mean, v: take(momentum, name), c: own };
            const v = add(mul(take(momentum, name), beta), mul(sub(x, mean), 1 - beta));
            return { x: sub(x, mul(sub(add(v, c), take(values, OWN + name)), rate)), v, c: own };
          });
          return [name, { x: held.hold(next.x), v: held.hold(next.v), c: held.hold(next.c) }] as const;
        }));
        const part = (before: Tensors, key: "x" | "v" | "c") =>
          new Map([...before, ...held.release(new Map([...moved].map(([name, each]) => [name, each[key]])))]);
        return {
          global: part(global, "x"),
          control: part(control, "c"),
          momentum: part(momentum, "v"),
          chosen: scores ? choose(layersOf(global, "keys"), scores, share) : state.chosen,
          numClients,
        };
      },
    };
  },
});

/** The layers of the highest scores, in model order. */
function choose(layers: readonly string[], scores: Float32Array, share: number): string[] {
  const places = chooseLargest([{ layer: "all", scores }], Math.round(share * layers.length)).get("all")!;
  return places.map((place) => layers[place]!);
}
