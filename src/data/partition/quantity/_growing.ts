import { clientsOption } from "../option_schemas.ts";
import { definePartitioner } from "../partitioner.ts";
import { growingSizes } from "../sizes.ts";
import { dealBySize } from "./_deal_by_size.ts";

/** A partitioner by whose rule sizes grow with the client's number, from 1 up. */
export function growingPartitioner<const Kind extends Parameters<typeof growingSizes>[2]>(
  kind: Kind,
  { proportion }: { readonly proportion: string },
) {
  return definePartitioner({
    kind,
    summary: `sizes in proportion to ${proportion} from 1 up`,
    shape: { numClients: clientsOption },
    example: { numClients: 10 },
    share: ({ numExamples }, { numClients }, stream) =>
      dealBySize(numExamples, growingSizes(numExamples, numClients, kind), stream),
  });
}
