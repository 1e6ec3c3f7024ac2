import {
  encodeAdapter,
  encodePeft,
  type EncoderFamily,
  exportPeft,
  type ModelFiles,
  type TaskModel,
} from "federa";
import { packTar } from "modern-tar";
import type { AdapterFiles } from "./calls.ts";

/** Options of {@linkcode adapterFiles}. */
export interface AdapterFilesOptions {
  readonly pretrained: TaskModel;
  readonly family: EncoderFamily;
  /** How Python programs find the base: `owner/name` on the hub, or a path. */
  readonly base: string;
  readonly maxLength: number;
  /** Of the base, whose tokenizer goes with an adapter that sentence-transformers loads. */
  readonly files: ModelFiles;
}

/** The files of a trained adapter, for PEFT and for federa. */
export async function adapterFiles(
  model: TaskModel,
  { pretrained, family, base, maxLength, files }: AdapterFilesOptions,
): Promise<AdapterFiles> {
  const adapter = await exportPeft(model, { pretrained, family, base: { name: base }, form: "original" });
  const encoded = await encodePeft(adapter, { files, maxLength });
  const labels = JSON.stringify(model.task.labels, null, 2);
  const contents = [...encoded, ["labels.json", labels] as const];
  const entries = contents.map(([name, content]) => {
    const body = typeof content === "string" ? new TextEncoder().encode(content) : content;
    return { header: { name: `adapter/${name}`, size: body.length }, body };
  });
  return {
    peft: new Blob([(await packTar(entries)) as Uint8Array<ArrayBuffer>], { type: "application/x-tar" }),
    names: contents.map(([name]) => name),
    own: new Blob([await encodeAdapter(model, { pretrained })]),
  };
}
