import source from "../../shaders/embedding.wgsl";
import { record } from "../autograd.ts";
import { Kernel } from "../gpu/kernel.ts";
import { formatShape } from "../shape.ts";
import { empty, isStorageOnly, type Tensor } from "../tensor.ts";
import { checkOperands, launch } from "./launch.ts";
import { fill } from "./create.ts";

const forwardKernel = new Kernel({
  name: "embedding",
  source,
  entry: "forward",
  bindings: ["read", "read", "write"],
});
const chainKernel = new Kernel({
  name: "embedding_chain",
  source,
  entry: "chain",
  bindings: ["read", "write"],
});
const gradientKernel = new Kernel({
  name: "embedding_gradient",
  source,
  entry: "gradient",
  bindings: ["read", "read", "read", "write"],
});

/**
 * Looks up rows of `table` [V, D] by `ids` (u32, any shape); the result has the shape of the ids, then D. A table
 * [C, V, D] goes with ids [C, …]: each member reads its own. A table [V, D] may be in any `Precision`. An id outside the vocabulary gives NaN. The
 * gradient adds up in a fixed order.
 *
 * @throws {TypeError} when the shapes don't agree.
 */
export function embedding(table: Tensor, ids: Tensor): Tensor {
  if (!isStorageOnly(table.dtype)) checkOperands("look up", [table]);
  checkOperands("look up by", [ids], "u32");
  const perMember = table.ndim === 3 && table.dtype !== "int8";
  if (!(table.ndim === 2 || (perMember && table.shape[0] === ids.shape[0]))) {
    throw new TypeError(
      `Cannot look up ids ${formatShape(ids.shape)} in a table ${
        formatShape(table.shape)
      }: expected [V, D], or [C, V, D] with ids [C, …]`,
    );
  }
  const [vocabulary, width] = table.shape.slice(-2) as [number, number];
  const idsPerTable = perMember ? ids.size / table.shape[0]! : ids.size;
  const params = [ids.size, width, vocabulary, Math.max(1, idsPerTable)];
  const y = empty(table.gpu, [...ids.shape, width]);
  launch(forwardKernel, {
    tensors: [ids, table, y],
    params,
    threads: y.size,
    constants: { HALF: table.dtype === "f16", INT8: table.dtype === "int8" },
  });
  return record(y, [table], [(dy, into) => {
    const links = empty(table.gpu, [ids.size, 2], "u32");
    launch(chainKernel, {
      tensors: [ids, links],
      params,
      threads: ids.size,
      constants: { HALF: false, INT8: false },
    });
    const dtable = into ?? empty(table.gpu, table.shape);
    fill(dtable, 0);
    launch(gradientKernel, {
      tensors: [ids, links, dy, dtable],
      params,
      threads: y.size,
      constants: { HALF: false, INT8: false },
    });
    return dtable;
  }]);
}
