// The connection: it is made again whenever it breaks, until it is closed or somebody must act.

import { pause } from './backoff.js'
import { FrontdeskError } from './errors.js'

/** @import { StateChange, TokenSource, Welcome } from './types.js' */

const PROTOCOL = 'frontdesk.v1.json'
/** Deadline for a token, and for everything from the opening to `welcome`, in milliseconds. */
const PATIENCE = 20_000
/** Deadline of the answer to a ping, in milliseconds. */
const PONG = 10_000
/** The shortest time between two questions for a token, in milliseconds. */
const TOKEN_PAUSE = 1_000
/** A token is renewed so long before its end, in milliseconds; a short one in the middle of its life. */
const RENEWED_BEFORE = 60_000
/** A connection that lasted so long was a good one: the next pause is short again, in milliseconds. */
const GOOD = 5_000
/** Pause before a request that was refused for now is sent again, in milliseconds, where the server names none. */
const REFUSAL_PAUSE = 1_000
/** The longest timer of a browser, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1

/**
 * @typedef {{
 *   url: string,
 *   token: TokenSource,
 *   WebSocket: typeof WebSocket,
 *   given: (token: string) => void,
 *   positions: () => { chatId: number, afterSeq: number }[],
 *   changed: (change: StateChange) => void,
 *   welcomed: (welcome: Welcome) => void,
 *   heard: (event: string, data: any) => void,
 * }} Options
 */

export class Connection {
  /** @type {StateChange} */
  state = { state: 'connecting' }
  /** The token in use; in memory alone. */
  token = ''
  #options
  /** @type {WebSocket | null} */
  #socket = null
  /** Counts connections: whatever an earlier one still says is ignored. */
  #number = 0
  #tries = 0
  /** Tokens that were refused one after the other. */
  #refusals = 0
  #onlineSince = 0
  /** @type {Map<string, { resolve: (data: any) => void, reject: (error: FrontdeskError) => void }>} */
  #requests = new Map()
  #requestCount = 0
  /** @type {{ reason?: string, retryAfterMs?: number }} */
  #goodbye = {}
  #heartbeatMs = 25_000
  /** The server's clock, less this one, in milliseconds. */
  #skew = 0
  #askedAt = -TOKEN_PAUSE
  /** The question for a token that is under way. @type {{ token: Promise<string>, abort: () => void } | null} */
  #asking = null
  /** @type {Record<'retry' | 'welcome' | 'ping' | 'renew', ReturnType<typeof setTimeout> | undefined>} */
  #timers = { retry: undefined, welcome: undefined, ping: undefined, renew: undefined }
  /** Ends what waits for its next try on this connection. */
  #ending = new AbortController()
  /** @type {(() => void)[]} */
  #unlisten = []

  constructor(/** @type {Options} */ options) {
    this.#options = options
    const listen = (/** @type {any} */ target, /** @type {string} */ name, /** @type {() => void} */ listener) => {
      target?.addEventListener?.(name, listener)
      this.#unlisten.push(() => target?.removeEventListener?.(name, listener))
    }
    if (globalThis.document) {
      listen(globalThis, 'online', () => this.#wake())
      listen(globalThis, 'offline', () => this.#sleep())
      listen(document, 'visibilitychange', () => document.visibilityState === 'visible' && this.#wake())
    }
    this.#connect('connect')
  }

  get isOnline() {
    return this.state.state === 'online'
  }

  /** Connects at once, whatever the reason was not to. */
  reconnect() {
    if (!this.isOnline) this.restart()
  }

  /** Connects anew, with a fresh token. */
  restart() {
    if (this.state.state === 'closed') return
    this.#tries = 0
    this.#refusals = 0
    this.token = ''
    this.#connect('connect')
  }

  /**
   * Sends an event, and waits for its answer.
   *
   * @param {string} event
   * @param {object} data
   * @returns {Promise<any>} rejects with a `FrontdeskError`
   */
  request(event, data) {
    const socket = this.#socket
    if (!this.isOnline || !socket) return Promise.reject(disconnected())
    const id = `c${++this.#requestCount}`
    return new Promise((resolve, reject) => {
      this.#requests.set(id, { resolve, reject })
      socket.send(JSON.stringify({ event, data, id }))
    })
  }

  /**
   * As `request`; one that is refused for now is sent again after a pause, as long as this connection lasts.
   *
   * @param {string} event
   * @param {() => object} data asked at each try, so that the last one says what is so then
   */
  async insist(event, data) {
    const { signal } = this.#ending
    for (;;) {
      try {
        return await this.request(event, data())
      } catch (cause) {
        const error = /** @type {FrontdeskError} */ (cause)
        if (!error.retry || error.code === 'disconnected') throw error
        await sleep(error.retryAfterMs ?? REFUSAL_PAUSE, signal)
      }
    }
  }

  /** Sends an event that needs no answer, if there is a connection. */
  tell(/** @type {string} */ event, /** @type {object} */ data) {
    if (this.isOnline) this.#socket?.send(JSON.stringify({ event, data }))
  }

  /** A token for a request over HTTP: the one in use, or a fresh one where that was refused. */
  async tokenFor(/** @type {string | null} */ refused) {
    if (this.token && this.token !== refused) return this.token
    return (this.token = await this.#ask(refused ? 'refused' : 'connect'))
  }

  close() {
    for (const end of this.#unlisten.splice(0)) end()
    this.#leave({ state: 'closed' })
  }

  /** Ends what there is, and waits in this state. Returns false where a listener has gone on from it. */
  #leave(/** @type {StateChange} */ change) {
    const number = ++this.#number
    for (const timer of Object.values(this.#timers)) clearTimeout(timer)
    this.#asking?.abort()
    this.#asking = null
    this.#ending.abort()
    this.#ending = new AbortController()
    const socket = this.#socket
    this.#socket = null
    if (socket) {
      // A listener that is left would keep a closing socket's page from being forgotten.
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.onerror = () => undefined
      socket.close()
    }
    const requests = [...this.#requests.values()]
    this.#requests.clear()
    this.#become(change)
    for (const { reject } of requests) reject(disconnected())
    return number === this.#number
  }

  #become(/** @type {StateChange} */ change) {
    const { state, retryAt, reason } = this.state
    if (change.state === state && change.retryAt === retryAt && change.reason === reason) return
    this.state = change
    this.#options.changed(change)
  }

  async #connect(/** @type {'connect' | 'refused'} */ reason) {
    if (!this.#leave({ state: 'connecting' })) return
    this.#onlineSince = 0
    if (isOffline()) return this.#become({ state: 'offline' })
    const number = this.#number
    try {
      const token = await this.#ask(reason)
      if (number !== this.#number) return
      this.token = token
    } catch (error) {
      if (number === this.#number) this.#unanswered(error)
      return
    }
    this.#goodbye = {}
    const socket = this.#open()
    if (!socket) return this.#broken()
    this.#socket = socket
    this.#timers.welcome = setTimeout(() => this.#broken(), PATIENCE)
    socket.onopen = () => {
      const data = { token: this.token, resume: this.#options.positions() }
      socket.send(JSON.stringify({ event: 'authenticate', data, id: 'authenticate' }))
    }
    socket.onmessage = ({ data }) => number === this.#number && this.#hear(JSON.parse(data))
    socket.onerror = () => undefined
    socket.onclose = ({ code }) => number === this.#number && this.#closed(code)
  }

  /** A socket; nothing where the browser refuses to make one, as to plain `ws:` from a page with TLS. */
  #open() {
    try {
      return new this.#options.WebSocket(this.#options.url, PROTOCOL)
    } catch {
      return null
    }
  }

  /** The callback failed. A failure of the network passes; anything else is its user's affair. */
  #unanswered(/** @type {unknown} */ error) {
    if (error instanceof TypeError) this.#broken()
    else this.#leave({ state: 'signed-out', reason: error instanceof FrontdeskError ? error.code : 'token' })
  }

  /** Asks the callback for a token, at most once a second, and once for all who want one now. */
  #ask(/** @type {'connect' | 'renew' | 'refused'} */ reason) {
    if (this.#asking) return this.#asking.token
    const asking = new AbortController()
    const token = this.#askNow(reason, asking.signal).finally(() => {
      // Ends the deadline, too.
      asking.abort()
      if (this.#asking?.token === token) this.#asking = null
    })
    this.#asking = { token, abort: () => asking.abort() }
    return token
  }

  async #askNow(/** @type {'connect' | 'renew' | 'refused'} */ reason, /** @type {AbortSignal} */ signal) {
    const wait = this.#askedAt + TOKEN_PAUSE - now()
    if (wait > 0) await sleep(wait, signal)
    this.#askedAt = now()
    const late = sleep(PATIENCE, signal).then(() => Promise.reject(new TypeError('no token came in time')))
    const token = (async () => this.#options.token({ reason, signal }))()
    // The loser of the race may still fail, and concerns nobody.
    late.catch(() => undefined)
    token.catch(() => undefined)
    const given = await Promise.race([token, late])
    if (typeof given === 'string' && given) {
      this.#options.given(given)
      return given
    }
    throw new FrontdeskError('signed_out', 'the callback gave no token')
  }

  #hear(/** @type {any} */ { event, data, id }) {
    this.#keepAlive()
    const request = this.#requests.get(id)
    if (event === 'ack' || event === 'exception') {
      this.#requests.delete(id)
      if (event === 'ack') request?.resolve(data)
      else if (request) request.reject(new FrontdeskError(data.code, data.message, data))
      // A refused token; the close that follows says what becomes of it.
      else if (id === 'authenticate' || data.event === 'authenticate') this.#goodbye.reason ??= data.code
    } else if (event === 'welcome') {
      this.#welcomed(data)
    } else if (event === 'goodbye') {
      this.#goodbye = data
    } else {
      this.#options.heard(event, data)
    }
  }

  #welcomed(/** @type {Welcome} */ welcome) {
    clearTimeout(this.#timers.welcome)
    this.#refusals = 0
    this.#onlineSince = now()
    this.#heartbeatMs = welcome.heartbeatMs
    this.#skew = Date.parse(welcome.serverTime) - Date.now()
    this.#keepAlive()
    this.#renewBefore(welcome.tokenExpiresAt)
    // Requests can be sent from here on; who listens is told once the chats are up to date.
    this.state = { state: 'online' }
    this.#options.welcomed(welcome)
    this.#options.changed(this.state)
  }

  /** A connection that says nothing is asked; one that does not answer is dead. */
  #keepAlive(wait = this.#heartbeatMs) {
    clearTimeout(this.#timers.ping)
    if (!this.#onlineSince) return
    this.#timers.ping = setTimeout(() => {
      this.#socket?.send(JSON.stringify({ event: 'ping', data: {}, id: 'ping' }))
      this.#timers.ping = setTimeout(() => this.#broken(), PONG)
    }, wait)
  }

  /** Renews the token over the open connection. */
  #renewBefore(/** @type {string} */ expiresAt) {
    const left = Date.parse(expiresAt) - (Date.now() + this.#skew)
    // The later of both: half a life of a long token would ask far more often than needed.
    const wait = Math.max(left - RENEWED_BEFORE, left / 2, TOKEN_PAUSE)
    this.#timers.renew = setTimeout(() => this.#renew(expiresAt), Math.min(wait, LONGEST_TIMER))
  }

  async #renew(/** @type {string} */ former) {
    const number = this.#number
    try {
      const token = await this.#ask('renew')
      if (number !== this.#number) return
      const { expiresAt } = await this.request('authenticate', { token })
      this.token = token
      if (number === this.#number) this.#renewBefore(expiresAt)
    } catch {
      // It is asked for again until the server ends the session, in time.
      if (number === this.#number && this.isOnline) this.#renewBefore(former)
    }
  }

  #closed(/** @type {number} */ code) {
    const { reason, retryAfterMs } = this.#goodbye
    switch (code) {
      case 1000:
        return this.#leave({ state: 'replaced', reason: 'done' })
      case 4401:
        return this.#refused(reason)
      case 4410:
        return this.#leave(reason === 'signed_out' ? { state: 'signed-out', reason } : { state: 'blocked', reason })
      case 4411:
        return this.#leave({ state: 'replaced', reason })
      case 1009:
        // Larger than a frame before anything was said: the token is none, but a page perhaps.
        return this.#onlineSince ? this.#broken() : this.#refused('too_large')
      case 1008:
        // A flood: a longer pause, and a longer one each time.
        this.#tries = Math.max(this.#tries, 3)
        return this.#broken()
      default:
        return this.#broken(retryAfterMs)
    }
  }

  #refused(/** @type {string | undefined} */ reason) {
    if (reason === 'forbidden') return this.#leave({ state: 'blocked', reason })
    // Two fresh tokens that are both refused: a third would be, too.
    if (++this.#refusals > 2) return this.#leave({ state: 'signed-out', reason })
    this.#connect('refused')
  }

  /** Waits before the next try; for as long as the server says, if it does. */
  #broken(/** @type {number | undefined} */ retryAfterMs = undefined) {
    if (this.#onlineSince && now() - this.#onlineSince > GOOD) this.#tries = 0
    this.#onlineSince = 0
    if (isOffline()) return void this.#leave({ state: 'offline' })
    const wait = retryAfterMs ?? pause(this.#tries++, Math.random)
    if (!this.#leave({ state: 'waiting', retryAt: Date.now() + wait })) return
    this.#timers.retry = setTimeout(() => this.#connect('connect'), wait)
  }

  /** The network is back, or the page is looked at: now is better than later. */
  #wake() {
    const { state } = this.state
    if (state === 'offline' || state === 'waiting') this.#connect('connect')
    else if (state === 'online') this.#keepAlive(0)
  }

  #sleep() {
    if (['connecting', 'online', 'waiting'].includes(this.state.state)) this.#broken()
  }
}

function isOffline() {
  return globalThis.navigator?.onLine === false
}

function disconnected() {
  return new FrontdeskError('disconnected', 'there is no connection')
}

/** Milliseconds of a clock that does not step. */
function now() {
  return performance.now()
}

/** Rejects when it is aborted. */
function sleep(/** @type {number} */ ms, /** @type {AbortSignal} */ signal) {
  return new Promise((/** @type {(nothing?: void) => void} */ resolve, reject) => {
    const end = () => {
      clearTimeout(timer)
      reject(new FrontdeskError('disconnected', 'it is no longer needed'))
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', end)
      resolve()
    }, ms)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}
