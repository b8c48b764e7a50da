// Random ids, of 122 random bits.

/** `crypto.randomUUID`, where it is: pages without TLS lack it. */
export function randomId() {
  if (crypto.randomUUID) return crypto.randomUUID()
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
