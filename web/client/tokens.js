// Tokens: where they come from, and whose they are.

/**
 * The user of a token, as the token says. The server alone decides whether that is true.
 *
 * @returns {string | null} null for a token that cannot be read here
 */
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

/**
 * Asks an address of the page's own server for its user's token, as plain text.
 *
 * @param {string} url
 * @param {{ credentials?: RequestCredentials, redirect?: RequestRedirect }} [options] `credentials: 'include'` for an
 *   address on another origin; `redirect: 'manual'`: a redirect, as to a sign-in, is nobody
 * @returns {Promise<string>} empty where nobody is signed in
 * @throws {TypeError} without an answer, or with a 5xx: the client asks again
 */
export async function tokenFrom(url, { credentials = 'same-origin', redirect = 'follow' } = {}) {
  const response = await fetch(url, { cache: 'no-store', credentials, redirect })
  if (response.status > 499) throw new TypeError(`${url} was answered ${response.status}`)
  const text = (await response.text()).trim()
  // The page of a sign-in, to which some sites redirect, is no token.
  return response.ok && /^[\w.-]+$/.test(text) ? text : ''
}
