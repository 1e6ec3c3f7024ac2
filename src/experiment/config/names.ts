import { z } from "zod";

/** Names that Windows reserves for devices, with any extension. */
const DEVICES = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/** Files that a run writes beside the folders of its methods. */
const OWN_FILES = /^(config|summary)\.json$/i;

/** A name that can also name a folder on any file system. */
export const folderName = z.string().max(100, "expected at most 100 characters").regex(
  /^[\w-][\w.-]*$/,
  "expected letters, digits, dots, dashes and underscores, no dot in front",
).superRefine((name, context) => {
  const refuse = (message: string) => context.addIssue({ code: "custom", message });
  if (DEVICES.test(name)) refuse(`"${name}" is the name of a device on Windows: choose another`);
  if (name.endsWith(".")) refuse(`"${name}" ends with a dot, which Windows drops: choose another`);
  if (OWN_FILES.test(name)) refuse(`"${name}" is the name of a file that the run writes: choose another`);
});

/** A path of a file or folder. */
export const path = z.string().min(1).refine(
  (text) => !text.includes("\0"),
  "a path must not contain NUL characters",
);
