import { type Fleet, poissonFleet, type Sampling, uniformFleet } from "../../../fl/mod.ts";
import { samplingOf as kindOf } from "../../../experiment/config/privacy_config.ts";
import type { Invitation } from "./invitation.ts";

/** What decides whom a federation asks. */
type SamplingChoice = Pick<Invitation, "method" | "clientsPerRound">;

/** How a federation draws whom it asks, as both sides must know: what noise a method plans for follows from it. */
export function samplingOf({ method, clientsPerRound }: SamplingChoice, numClients: number): Sampling {
  const asked = Math.min(clientsPerRound ?? numClients, numClients);
  return kindOf(method.privacy) === "poisson"
    ? { kind: "poisson", rate: asked / numClients }
    : { kind: "uniform", clientsPerRound: asked };
}

/** The participants of a federation, and whom each round asks. */
export function fleetOf(
  choice: SamplingChoice & Pick<Invitation, "seed">,
  numExamples: readonly number[],
): Fleet {
  const { seed } = choice;
  const sampling = samplingOf(choice, numExamples.length);
  return sampling.kind === "poisson"
    ? poissonFleet(numExamples, { rate: sampling.rate, seed })
    : uniformFleet(numExamples, { clientsPerRound: sampling.clientsPerRound, seed });
}
