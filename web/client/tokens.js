// The user of a token, as the token says. The server alone decides whether that is true.

/** @returns {string | null} null for a token that cannot be read here */
export function identityOf(/** @type {string} */ token) {
  try {
    const [, payload] = token.split('.')
    const binary = atob(payload.replaceAll('-', '+').replaceAll('_', '/'))
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0))
    const { iss = '', sub } = JSON.parse(new TextDecoder().decode(bytes))
    return sub === undefined ? null : JSON.stringify([iss, String(sub)])
  } catch {
    return null
  }
}
