// Who is signed in: by a built-in account, by the company's own login, or by the demo's key.

import { FrontdeskError, tokenFrom } from '../client/frontdesk.js'
import { forgetKept, keep, readKept } from './kept.js'

/**
 * @typedef {{ local: boolean, loginUrl?: string, tokenUrl?: string }} Login the ways in, as the server is configured
 * @typedef {{
 *   readonly isSignedIn: boolean, token: import('../client/types.js').TokenSource, signOut(): Promise<void>,
 * }} Session
 */

const LOGIN = 'frontdesk-login'
/** An access token that lasts this much longer is used; a shorter one is renewed, in milliseconds. */
const SPARE = 10_000
/** Limit of a request, in milliseconds: other tabs wait for it. */
const DEADLINE = 15_000
/** Held by each tab that has an account's login. */
const TABS = 'frontdesk-login-tabs'
/** Wait for the answers of other tabs, in milliseconds, once a page, if there are others. */
const PATIENCE = 300

/**
 * A login with an e-mail and a password. The access token is in memory alone. The refresh token is in this tab's
 * storage, or in the browser's for who stays signed in. It works once, so tabs exchange theirs one after the other.
 */
export class AccountSession {
  /** @type {{ token: string, endsAt: number } | null} */
  #access = null
  #channel = new BroadcastChannel(LOGIN)
  /** Where the browser keeps nothing. @type {Kept | null} */
  #memory = null
  #joined = joinTabs()
  /** Done once this page holds what the other tabs hold. @type {Promise<void> | null} */
  #caughtUp = null

  /**
   * @typedef {{ login: string, refreshToken: string, exchanges: number, stays: boolean }} Kept
   *   `login`: the same in all tabs of a login; `exchanges`: how often its refresh token was exchanged
   */

  constructor() {
    this.#channel.addEventListener('message', ({ data }) => {
      const kept = this.#kept()
      if (!kept || data.login !== kept.login) return
      if (data.asks) this.#channel.postMessage(kept)
      else if (!data.refreshToken) this.#forget()
      else if (data.exchanges > kept.exchanges) this.#keep(data)
    })
  }

  get isSignedIn() {
    return this.#kept() !== null
  }

  /**
   * @param {string} email
   * @param {string} password
   * @param {boolean} stays after the tab is closed
   * @returns {Promise<void>} rejects with a `FrontdeskError`
   */
  async signIn(email, password, stays) {
    const tokens = await post('/auth/login', { email, password })
    this.#caughtUp = Promise.resolve()
    this.#take({ login: crypto.randomUUID?.() ?? String(Math.random()), stays, refreshToken: '', exchanges: 0 }, tokens)
  }

  /** @type {import('../client/types.js').TokenSource} */
  token = async ({ reason }) => {
    const isFresh = this.#access && this.#access.endsAt - SPARE > Date.now()
    if (isFresh && reason === 'connect') return this.#access?.token
    await (this.#caughtUp ??= this.#catchUp())
    return this.#alone(() => this.#refresh())
  }

  async signOut() {
    const kept = this.#kept()
    this.#forget()
    if (!kept) return
    this.#channel.postMessage({ login: kept.login })
    // It ends by itself where the server is away.
    await post('/auth/logout', { refreshToken: kept.refreshToken }).catch(() => undefined)
  }

  async #refresh() {
    // As it is now: another tab may have exchanged it while this one waited.
    const kept = this.#kept()
    if (!kept) return ''
    try {
      return this.#take(kept, await post('/auth/refresh', { refreshToken: kept.refreshToken }))
    } catch (cause) {
      const { code } = /** @type {FrontdeskError} */ (cause)
      // Anything else passes: the client asks again.
      if (code !== 'unauthenticated' && code !== 'forbidden') throw new TypeError(`the refresh failed: ${code}`)
      this.#forget()
      return ''
    }
  }

  #take(/** @type {Kept} */ kept, /** @type {any} */ { accessToken, refreshToken, expiresIn }) {
    this.#access = { token: accessToken, endsAt: Date.now() + expiresIn * 1_000 }
    const taken = { ...kept, refreshToken, exchanges: kept.exchanges + 1 }
    this.#keep(taken)
    this.#channel.postMessage(taken)
    return accessToken
  }

  /**
   * Asks the other tabs, once a page: a tab that was discarded, or was loading, while another exchanged the token holds
   * an old one, and who sends that is signed out in all tabs. The browser's own storage is common to them, and needs
   * no question.
   */
  async #catchUp() {
    const kept = readKept(LOGIN, 'session')
    if (!kept) return
    await this.#joined
    if (!(await hasOtherTabs())) return
    this.#channel.postMessage({ login: kept.login, asks: true })
    await new Promise((resolve) => setTimeout(resolve, PATIENCE))
  }

  /** One tab at a time, where the browser has locks: pages without TLS have none. */
  #alone(/** @type {() => Promise<string>} */ act) {
    return navigator.locks ? navigator.locks.request(LOGIN, act) : act()
  }

  /** @returns {Kept | null} */
  #kept() {
    return this.#memory ?? readKept(LOGIN, 'session') ?? readKept(LOGIN)
  }

  #keep(/** @type {Kept} */ kept) {
    this.#memory = keep(LOGIN, kept, kept.stays ? 'local' : 'session') ? null : kept
  }

  #forget() {
    this.#access = null
    this.#memory = null
    forgetKept(LOGIN, 'session')
    forgetKept(LOGIN)
  }
}

/** Counts this tab among those of a login, until it is closed. */
function joinTabs() {
  return new Promise((/** @type {(nothing?: void) => void} */ joined) => {
    if (!navigator.locks) return joined()
    navigator.locks.request(TABS, { mode: 'shared' }, () => {
      joined()
      return new Promise(() => undefined)
    })
  })
}

/** Whether there are other tabs; without locks there may be. */
async function hasOtherTabs() {
  if (!navigator.locks) return true
  const { held = [] } = await navigator.locks.query()
  return held.filter(({ name }) => name === TABS).length > 1
}

/** The company's own login: its server says who is signed in there. */
export class CompanySession {
  isSignedIn = true
  #url

  constructor(/** @type {string} */ url) {
    this.#url = url
  }

  token = () => tokenFrom(this.#url, { credentials: 'include', redirect: 'manual' })

  async signOut() {
    // It is the company's to end.
  }
}

/**
 * @param {string} path
 * @param {object} body
 * @returns {Promise<any>} rejects with a `FrontdeskError`
 */
async function post(path, body) {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(path, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(DEADLINE),
  }).catch((error) => {
    throw new FrontdeskError('disconnected', String(error))
  })
  const text = await response.text().catch(() => '')
  if (response.ok) return text ? JSON.parse(text) : null
  const wait = Number(response.headers.get('retry-after')) * 1_000
  try {
    const { code, detail } = JSON.parse(text)
    throw new FrontdeskError(code, detail, { status: response.status, retryAfterMs: wait || undefined })
  } catch (error) {
    if (error instanceof FrontdeskError) throw error
    throw new FrontdeskError('unavailable', `${path} was answered ${response.status}`)
  }
}
