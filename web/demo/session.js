// The demo's key and tokens, as its pages share them.

/** The key's place: this tab's memory, which the frames of the page share. */
const STORED = 'frontdesk-demo'

/** Takes the key from the address, and out of it. */
export function takeKey() {
  const key = location.hash.slice(1)
  if (!key) return
  sessionStorage.setItem(STORED, key)
  history.replaceState(null, '', location.pathname + location.search)
}

/** True if this tab has a key. */
export function hasKey() {
  return sessionStorage.getItem(STORED) !== null
}

/**
 * A fresh token. Its life can be made short, to see how it is renewed.
 *
 * @param {'customer' | 'agent'} who
 * @param {{ seconds?: number }} [life]
 * @returns {Promise<string>} rejects with the server's words
 */
export async function demoToken(who, { seconds } = {}) {
  const key = sessionStorage.getItem(STORED) ?? ''
  const response = await fetch('/demo/session', { method: 'POST', body: JSON.stringify({ key, seconds }) })
  const answer = await response.json()
  if (!response.ok) throw new Error(answer.detail ?? response.statusText)
  return answer[who].token
}
