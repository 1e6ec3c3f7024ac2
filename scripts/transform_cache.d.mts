/** The JavaScript of a TypeScript file, kept in a folder. */
export function transformed(sourcefile: string, folder?: string): Promise<string>;
