import { byName } from "../../factory.ts";
import type { Algorithm } from "../define_algorithm.ts";
import { dpFedAvg } from "./dp_fed_avg.ts";
import { localDp } from "./local_dp.ts";

export { dpFedAvg, localDp };

/** What protects clients' privacy with noise, by name. It goes over a method and all other algorithms. */
export const privacyKinds: ReadonlyMap<string, Algorithm> = byName([dpFedAvg, localDp]);
