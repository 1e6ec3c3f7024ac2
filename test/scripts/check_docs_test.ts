import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { without } from "../support/tools.ts";
import { findUndocumented } from "../../scripts/check_docs.ts";

const MODULE = `import source from "../shaders/a.wgsl";
import {
  create,
} from "webgpu";
import { other } from "../b.ts";

/** Documented. */
export function documented(): void {}

export function bare(): void {}

/** Documented. */
export class Shape {
  /** Documented. */
  rows(): number {
    return 1;
  }

  columns(): number {
    return 1;
  }

  get size(): number {
    return 1;
  }

  #hidden(): void {}

  [Symbol.dispose](): void {}
}

function internal(): void {}

export type Name = string;
`;

test("findUndocumented() lists exports, methods and accessors without a doc comment", {
  skip: without("deno"),
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), "federa-undocumented-"));
  try {
    await mkdir(join(folder, "inside"));
    await writeFile(join(folder, "inside/a.ts"), MODULE);
    await writeFile(join(folder, "b.ts"), "/** Documented. */\nexport const other = 1;\n");
    assert.deepEqual(await findUndocumented(folder), [
      `${join(folder, "inside/a.ts")}:10: bare has no doc comment`,
      `${join(folder, "inside/a.ts")}:19: Shape.columns has no doc comment`,
      `${join(folder, "inside/a.ts")}:23: Shape.size has no doc comment`,
      `${join(folder, "inside/a.ts")}:34: Name has no doc comment`,
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
