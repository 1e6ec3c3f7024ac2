import { z } from "zod";

/** Names that Windows keeps for devices, with any extension. */
const DEVICES = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/** Files that a run keeps beside the folders of its methods. */
const OWN_FILES = /^(config|summary)\.json$/i;

/** A name that is a folder's too, on any file system. */
export const folderName = z.string().max(100, "expected at most 100 characters").regex(
  /^[\w-][\w.-]*$/,
  "expected letters, digits, dots, dashes and underscores, no dot in front",
).superRefine((name, context) => {
  const refuse = (message: string) => context.addIssue({ code: "custom", message });
  if (DEVICES.test(name)) refuse(`"${name}" is the name of a device on Windows: take another`);
  if (name.endsWith(".")) refuse(`"${name}" ends with a dot, which Windows leaves out: take another`);
  if (OWN_FILES.test(name)) refuse(`"${name}" is a file of the run: take another`);
});

/** A path of a file or folder. */
export const path = z.string().min(1).refine((text) => !text.includes("\0"), "a path has no NUL character");
