import type { TaskModel } from "../../../../tasks/mod.ts";
import { createAggregator } from "../../../../experiment/config/aggregator_config.ts";
import { checkLegality, checkPositions, type Codec, companionsOf, type Method } from "../../../../fl/mod.ts";
import { FederationError } from "../errors.ts";
import type { HostSettings } from "./host.ts";

/** What {@linkcode checkHosted} looks at. */
export interface HostedParts {
  readonly settings: HostSettings;
  readonly codec: Codec;
  readonly pretrained: TaskModel;
}

/**
 * Makes sure that a method and what stands beside it can be run with participants elsewhere.
 *
 * @throws {FederationError} for what only a simulation can do, and noise that participants or the host could take off again.
 * @throws {TypeError} for what doesn't go together, or doesn't fit the model.
 */
export function checkHosted(method: Method, { settings, codec, pretrained }: HostedParts): void {
  const { federation, method: { privacy }, participants, clientsPerRound = participants, minimum } = settings;
  const action = `Cannot host federation ${federation} with ${method.name}`;
  if (method.isCentral) {
    throw new FederationError(
      `${action}: it trains on the data of all in one place, and a host has none; take fedit or another federated method`,
    );
  }
  if (method.needsLabels) {
    throw new FederationError(
      `${action}: its server must know how the labels of each client are spread, which participants keep to themselves`,
    );
  }
  if (privacy !== undefined && privacy.kind !== "none" && privacy["noise"] !== "secret") {
    throw new FederationError(
      `${action}: noise that follows from the seed protects nobody, as all who take part know the seed; set privacy.noise to "secret"`,
    );
  }
  if (clientsPerRound > participants) {
    throw new FederationError(
      `${action}: each round is to ask ${clientsPerRound} of ${participants} participants; lower clientsPerRound`,
    );
  }
  if (minimum > clientsPerRound) {
    throw new FederationError(
      `${action}: a round is to count with ${minimum} uploads, and asks ${clientsPerRound} participants; lower minimum`,
    );
  }
  method.check(pretrained);
  method.checkTraining?.(settings);
  checkPositions(method, { encoder: pretrained.encoder, length: settings.maxLength });
  const aggregator = createAggregator(settings.aggregator);
  checkLegality(
    method,
    companionsOf({ method, aggregator, codec, isPartial: clientsPerRound < participants }),
  );
  aggregator?.check?.(clientsPerRound);
}
