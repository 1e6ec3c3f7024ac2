import { digest } from "../../../federa/files/digest.ts";

/** What a host keeps of a secret. */
export function hashToken(token: string): Promise<string> {
  return digest(new TextEncoder().encode(token));
}

/** Random bytes in hexadecimal. */
export function randomHex(bytes: number): string {
  return Array.from(
    crypto.getRandomValues(new Uint8Array(bytes)),
    (byte) => byte.toString(16).padStart(2, "0"),
  ).join("");
}
