export { CorruptFileError } from "../data/errors.ts";
