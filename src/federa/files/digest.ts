/** SHA-256 of a tensor's bytes in hexadecimal; the shape is compared apart. */
export function fingerprint(values: Float32Array): Promise<string> {
  return digest(values as Float32Array<ArrayBuffer>);
}

/** SHA-256 in hexadecimal. */
export async function digest(bytes: BufferSource): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
