// The probes of the check: each tries one thing that a live chat needs, and says what is wrong.

/** @typedef {{ state: 'ok' | 'bad' | 'skipped', key: string, values?: Record<string, string | number> }} Finding */
/**
 * @typedef {{
 *   serverTime: string, version: string, database: 'ok' | 'away',
 *   origin: { seen: string | null, allowed: boolean, host: string | null }, limits: { leewaySeconds: number },
 * }} ServerView
 */

/** Deadline of the server's answers, in milliseconds. */
const DEADLINE = 10_000
/** Clocks that differ by less are the same: an answer takes its time, in seconds. */
const SAME = 5
/** A close code of a connection that was never let in. */
const TOKEN_REFUSED = 4401

/** What the server says of itself, and of pages of this origin; null where it does not answer. */
export async function ask(/** @type {string} */ origin) {
  try {
    const response = await fetch(`/web/check?origin=${encodeURIComponent(origin)}`, {
      cache: 'no-store',
      signal: AbortSignal.timeout(DEADLINE),
    })
    return response.ok ? /** @type {ServerView} */ (await response.json()) : null
  } catch {
    return null
  }
}

/** @returns {Finding} */
export function serverFinding(/** @type {ServerView | null} */ view) {
  return view ? ok('check.server.ok', { version: view.version }) : bad('check.server.bad')
}

/** @returns {Finding} */
export function databaseFinding(/** @type {ServerView | null} */ view) {
  if (!view) return skipped
  return view.database === 'ok' ? ok('check.database.ok') : bad('check.database.bad')
}

/** @returns {Finding} */
export function clockFinding(/** @type {ServerView | null} */ view, now = Date.now()) {
  if (!view) return skipped
  const seconds = Math.round(Math.abs(Date.parse(view.serverTime) - now) / 1_000)
  const leeway = view.limits.leewaySeconds
  return seconds <= Math.max(SAME, leeway) ? ok('check.clock.ok') : bad('check.clock.bad', { seconds, leeway })
}

/** @returns {Finding} */
export function originFinding(/** @type {ServerView | null} */ view, /** @type {string} */ origin) {
  if (!view) return skipped
  const isOrigin = URL.canParse(origin) && new URL(origin).origin === origin
  if (!isOrigin && origin !== 'null') return bad('check.origin.malformed', { origin })
  return view.origin.allowed
    ? ok('check.origin.ok', { origin })
    : bad('check.origin.bad', { origin, host: view.origin.host ?? '' })
}

/**
 * Opens a WebSocket with a token, or with none: a refusal in the protocol's words shows that the line is
 * whole. Returns what it shows of the line, and of the token.
 *
 * @param {string} token
 * @returns {Promise<{ socket: Finding, token: Finding }>}
 */
export function tryLine(token) {
  const untried = token ? skipped : { ...skipped, key: 'check.token.none' }
  return new Promise((resolve) => {
    const address = new URL('/ws', location.href)
    address.protocol = address.protocol.replace('http', 'ws')
    const socket = new WebSocket(address, 'frontdesk.v1.json')
    let isOpen = false
    const end = (/** @type {Finding} */ line, /** @type {Finding} */ verdict) => {
      clearTimeout(timer)
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close()
      resolve({ socket: line, token: verdict })
    }
    const broken = () => end(bad(isOpen ? 'check.socket.frozen' : 'check.socket.bad'), untried)
    const timer = setTimeout(broken, DEADLINE)
    socket.onopen = () => {
      isOpen = true
      socket.send(JSON.stringify({ event: 'authenticate', data: { token }, id: 'check' }))
    }
    socket.onmessage = ({ data }) => {
      const { event, data: answer } = JSON.parse(data)
      const whole = ok('check.socket.ok')
      if (event === 'welcome')
        end(whole, ok('check.token.ok', { name: answer.user.nickname ?? `#${answer.user.id}`, role: answer.user.role }))
      else if (event === 'exception' && !token) end(whole, untried)
      else if (event === 'exception')
        end(
          whole,
          answer.code === 'token_expired'
            ? bad('check.token.expired')
            : bad('check.token.bad', { reason: answer.message }),
        )
    }
    socket.onclose = ({ code }) => (code === TOKEN_REFUSED ? end(ok('check.socket.ok'), untried) : broken())
  })
}

/** @type {Finding} */
const skipped = { state: 'skipped', key: 'check.skipped' }

/** @returns {Finding} */
function ok(/** @type {string} */ key, /** @type {Record<string, string | number>} */ values = {}) {
  return { state: 'ok', key, values }
}

/** @returns {Finding} */
function bad(/** @type {string} */ key, /** @type {Record<string, string | number>} */ values = {}) {
  return { state: 'bad', key, values }
}
