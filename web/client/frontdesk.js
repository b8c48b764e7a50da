// The client: one connection, the chats that it follows, and the outbox.

import { Chat } from './chat.js'
import { Connection } from './connection.js'
import { Emitter } from './emitter.js'
import { FrontdeskError } from './errors.js'
import { Outbox } from './outbox.js'
import { identityOf } from './tokens.js'

export { Chat } from './chat.js'
export { Emitter } from './emitter.js'
export { FrontdeskError } from './errors.js'
export { tokenFrom } from './tokens.js'

/**
 * @import { Message, OutboxRow, OutboxStorage, Receipt, StateChange, TokenSource, User, Welcome, WireChat, WireLimits } from './types.js'
 */
/**
 * What a chat uses of its client.
 *
 * @typedef {{
 *   connection: Connection, outbox: Outbox, readonly user: User | null,
 *   check(text: string): void, fetch(path: string): Promise<any>, failed(error: FrontdeskError): void,
 *   marked(mark: { chatId: number, seq: number }): void,
 * }} Inside
 */

/**
 * @typedef {{
 *   state: StateChange, user: User | null, kept: 'device' | 'tab', error: FrontdeskError,
 *   chat_created: WireChat, chat_updated: WireChat, read: { chatId: number, seq: number },
 *   event: { event: string, data: any },
 * }} Events
 */

/** Bounds until the server has named its own. */
const MESSAGE_CHARS = 8_000
/** Chats that a connection resumes; the others are entered behind it. The protocol's own bound. */
const MOST_RESUMED = 100
/** Events that concern a chat alone. */
const OF_CHATS = new Set(['receive_message', 'typing', 'message_read', 'presence', 'viewers'])
/** Deadline of a request over HTTP, in milliseconds. */
const REQUEST_PATIENCE = 20_000

/** @extends {Emitter<Events>} */
export class Frontdesk extends Emitter {
  /** @type {User | null} */
  user = null
  /** @type {WireLimits | null} */
  limits = null
  #base
  #fetch
  #scope
  #connection
  #outbox
  /** @type {Map<number | 'support', Chat>} */
  #chats = new Map()
  /** @type {Inside} */
  #inside
  /** Who the outbox is of: the user of the token, so that it is known without the server. @type {string | null} */
  #identity = null
  #watches = false
  /** @type {number | null} */
  #viewed = null
  /** @type {'device' | 'tab'} */
  #kept

  /**
   * Connects at once, and again whenever the connection breaks.
   *
   * @param {{
   *   url: string | URL, token: TokenSource, storage?: 'indexeddb' | 'memory' | OutboxStorage, scope?: string,
   *   WebSocket?: unknown, fetch?: typeof globalThis.fetch,
   * }} options `url`: the server's address; `scope`: keeps the outboxes of independent pages of one origin
   *   apart; `WebSocket`: where the runtime has none, as Node 20
   */
  constructor({ url, token, storage = 'indexeddb', scope = '', WebSocket, fetch }) {
    super()
    const Socket = WebSocket ?? globalThis.WebSocket
    if (!Socket) throw new TypeError('this runtime has no WebSocket: give one as an option')
    const { origin, pathname } = new URL(url)
    this.#base = origin + pathname.replace(/\/+$/, '')
    this.#scope = scope
    this.#fetch = fetch
    const stored = (/** @type {OutboxRow} */ row, /** @type {Receipt} */ receipt) =>
      this.#chats.get(row.chat)?.stored(row, receipt)
    const failed = (/** @type {OutboxRow} */ row) => this.#chats.get(row.chat)?.failed(row)
    const changed = () => this.#outboxChanged()
    this.#outbox = new Outbox({ storage, stored, failed, changed, send: (row) => this.#send(row) })
    this.#kept = this.#outbox.kept
    this.#connection = new Connection({
      url: `${this.#base.replace('http', 'ws')}/ws`,
      token,
      WebSocket: /** @type {typeof globalThis.WebSocket} */ (Socket),
      given: (token) => this.#identify(identityOf(token)),
      positions: () => this.#positions(),
      changed: (change) => this.#stateChanged(change),
      welcomed: (welcome) => this.#welcomed(welcome),
      heard: (event, data) => this.#heard(event, data),
    })
    const self = this
    this.#inside = {
      connection: this.#connection,
      outbox: this.#outbox,
      get user() {
        return self.user
      },
      check: (text) => this.#check(text),
      fetch: (path) => this.fetch(path),
      failed: (error) => this.emit('error', error),
      marked: (mark) => this.emit('read', mark),
    }
  }

  get state() {
    return this.#connection.state
  }

  /** Where unsent messages are: in the browser's database, or in this tab alone. */
  get kept() {
    return this.#outbox.kept
  }

  /** The signed-in customer's own chat. */
  support() {
    return this.#follow('support')
  }

  /** Any chat that the user may see; it is followed from now on. */
  chat(/** @type {number} */ id) {
    return this.#follow(id)
  }

  /** @returns {Promise<Chat>} a new group chat */
  async createChat(/** @type {{ userIds: number[], title?: string }} */ group) {
    const { id } = await this.request('create_chat', group)
    return this.chat(id)
  }

  /** Admins: `chat_created` and `chat_updated` come for every chat, over reconnects too. */
  async watch(/** @type {boolean} */ watch) {
    this.#watches = watch
    if (this.#connection.isOnline) await this.#connection.insist('watch_chats', () => ({ watch: this.#watches }))
  }

  /** Admins: the chat on this screen, which other admins see; over reconnects too. */
  async view(/** @type {number | null} */ chatId) {
    this.#viewed = chatId
    if (this.#connection.isOnline) await this.#connection.insist('view_chat', () => ({ chatId: this.#viewed }))
  }

  /**
   * Any event of the protocol.
   *
   * @param {string} event
   * @param {object} [data]
   * @returns {Promise<any>} rejects with a `FrontdeskError`
   */
  request(event, data = {}) {
    return this.#connection.request(event, data)
  }

  /**
   * A request to the HTTP API. A refused token is renewed once.
   *
   * @param {string} path
   * @param {{ method?: string, body?: object }} [options]
   * @returns {Promise<any>} rejects with a `FrontdeskError`
   */
  async fetch(path, { method = 'GET', body } = {}) {
    // Anything else might lead to another host, and the token with it.
    if (!path.startsWith('/')) throw new FrontdeskError('bad_request', 'a path begins with a slash')
    const ask = async (/** @type {string | null} */ refused) => {
      const token = await this.#connection.tokenFor(refused)
      const headers = { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) }
      const fetch = this.#fetch ?? globalThis.fetch
      const signal = AbortSignal.timeout(REQUEST_PATIENCE)
      const response = await fetch(this.#base + path, { method, headers, body: body && JSON.stringify(body), signal })
      return { token, response }
    }
    let answer
    try {
      answer = await ask(null)
      if (answer.response.status === 401) answer = await ask(answer.token)
    } catch (error) {
      if (error instanceof FrontdeskError) throw error
      throw new FrontdeskError('disconnected', String(error))
    }
    const { response } = answer
    const text = await response.text().catch(() => '')
    if (response.ok) return text ? JSON.parse(text) : null
    throw problem(response, text)
  }

  /** Connects at once: for a button, and after `replaced` or `signed-out`. */
  reconnect() {
    this.#connection.reconnect()
  }

  /** Connects anew, with a fresh token: the page's user has changed. */
  restart() {
    this.#connection.restart()
  }

  /** Forgets the messages of the present user that are not sent. For a sign-out, before `close`. */
  async forget() {
    await this.#outbox.forget()
  }

  /** Ends everything: connection, timers, listeners. What waits stays in the outbox. */
  async close() {
    if (this.state.state === 'closed') return
    this.#connection.close()
    for (const chat of this.#chats.values()) chat.ended()
    this.#chats.clear()
    await this.#outbox.close()
    this.removeListeners()
  }

  #follow(/** @type {number | 'support'} */ name) {
    const known = this.#chats.get(name)
    if (known) {
      known.follow()
      return known
    }
    const chat = new Chat(this.#inside, name)
    this.#chats.set(name, chat)
    if (this.#connection.isOnline) {
      if (name === 'support') this.#findSupport([]).catch((error) => this.#inside.failed(error))
      else chat.connected(undefined)
    }
    return chat
  }

  #positions() {
    const positions = [...this.#chats.values()].flatMap((chat) => chat.position ?? [])
    return positions.slice(0, MOST_RESUMED)
  }

  #stateChanged(/** @type {StateChange} */ change) {
    const isOnline = change.state === 'online'
    if (!isOnline) for (const chat of this.#chats.values()) chat.disconnected()
    this.emit('state', change)
    this.#outbox.online(isOnline)
  }

  #welcomed(/** @type {Welcome} */ welcome) {
    const former = this.user
    this.limits = welcome.limits
    this.user = welcome.user
    if (former && former.id !== welcome.user.id) for (const chat of this.#chats.values()) chat.forgetAll()
    if (this.#identity === null) this.#identify(String(welcome.user.id))
    const { id, role, nickname } = welcome.user
    if (former?.id !== id || former.role !== role || former.nickname !== nickname) this.emit('user', this.user)
    const support = this.#chats.get('support')
    if (support)
      this.#findSupport(welcome.chats).catch((error) => error.code !== 'disconnected' && this.#inside.failed(error))
    for (const [name, chat] of this.#chats) {
      if (name !== 'support') chat.connected(welcome.chats.find((entered) => entered.id === chat.id))
    }
    // Each rejects where the connection breaks, and then the next one asks; or for good, as its first call did.
    if (this.#watches) this.watch(true).catch(() => undefined)
    if (this.#viewed !== null) this.view(this.#viewed).catch(() => undefined)
  }

  /** The user whose token it is. Nothing of the one before stays: not on the screen, and not in the outbox. */
  #identify(/** @type {string | null} */ identity) {
    if (identity === null || identity === this.#identity) return
    const isOther = this.#identity !== null
    this.#identity = identity
    this.#outbox.become(`${this.#base} ${this.#scope} ${identity}`).catch(() => undefined)
    if (!isOther) return
    for (const chat of this.#chats.values()) chat.forgetAll()
    this.user = null
    // An open session is still the former user's: nothing may be said over it any more.
    if (this.#connection.isOnline) this.#connection.restart()
    this.emit('user', null)
  }

  /** The customer's own chat: the one that is known, the only one in `welcome`, or the one that the server names. */
  async #findSupport(/** @type {Welcome['chats']} */ chats) {
    const support = this.support()
    if (this.user?.role !== 'customer') throw new FrontdeskError('forbidden', 'only a customer has a chat of their own')
    const known = chats.find(({ id }) => id === support.id) ?? (chats.length === 1 ? chats[0] : undefined)
    if (known) return support.connected(known)
    const { id } = await this.#connection.insist('create_chat', () => ({}))
    support.id = id
    support.connected(chats.find((entered) => entered.id === id))
  }

  #heard(/** @type {string} */ event, /** @type {any} */ data) {
    if (event === 'chat_created' || event === 'chat_updated') return this.emit(event, data)
    const chats = [...this.#chats.values()].filter(({ id }) => id === data?.chatId)
    for (const chat of chats) chat.hear(event, data)
    // On another device, or in another chat than those that are followed.
    if (event === 'message_read' && data.userId === this.user?.id) this.emit('read', data)
    if (chats.length === 0 || !OF_CHATS.has(event)) this.emit('event', { event, data })
  }

  #outboxChanged() {
    for (const chat of this.#chats.values()) chat.changed()
    if (this.#kept === this.kept) return
    this.#kept = this.kept
    this.emit('kept', this.kept)
  }

  #check(/** @type {string} */ text) {
    const most = this.limits?.messageChars ?? MESSAGE_CHARS
    if (this.state.state === 'closed') throw new FrontdeskError('closed', 'the client is closed')
    if (!/\P{White_Space}/u.test(text)) throw new FrontdeskError('bad_request', 'the message is blank')
    if (text.includes('\0')) throw new FrontdeskError('bad_request', 'the message has U+0000 in it')
    // Characters as the server counts them, not UTF-16 units.
    const chars = text.length > most ? [...text].length : text.length
    if (chars > most) throw new FrontdeskError('too_large', `the message has ${chars} characters, ${most} are allowed`)
  }

  #send(/** @type {OutboxRow} */ { chat, message, clientId, expectSeq }) {
    const chatId = chat === 'support' ? undefined : chat
    return this.request('send_message', { chatId, message, clientId, expectSeq })
  }
}

/** A refusal as an error: the server's own code, or one for a proxy's page. */
function problem(/** @type {Response} */ response, /** @type {string} */ text) {
  const { status } = response
  try {
    const { code, detail, ...details } = JSON.parse(text)
    return new FrontdeskError(code, detail, { ...details, status })
  } catch {
    return new FrontdeskError(status >= 500 ? 'unavailable' : 'bad_request', `the answer was ${status}`, { status })
  }
}
