// A chat as its reader sees it: its messages in order, who has read them, who is there.

import { Emitter } from './emitter.js'
import { FrontdeskError } from './errors.js'
import { randomId } from './ids.js'
import { Log } from './log.js'

/** @import { Entered, Message, OutboxRow, Receipt, User, WireMessage } from './types.js' */
/** @typedef {import('./frontdesk.js').Inside} Inside */

/** Messages of a page, and of the first look at a chat. */
const PAGE = 50
/** Unread messages that are read at the first look at most, and read ones before them. */
const MOST_UNREAD = 300
const LEAD = 10
/** Pause before a chat that could not be entered is entered again, in milliseconds. */
const ENTRY_PAUSE = 1_000
/** A typing user is forgotten after so long without a repeat, in milliseconds. */
const TYPING = 6_000
/** Own typing is repeated at most so often, in milliseconds. */
const TYPING_PAUSE = 3_000

/** @extends {Emitter<{ change: void, message: Message, reset: void }>} */
export class Chat extends Emitter {
  /** @type {number | null} */
  id
  /** True once the latest messages are here. */
  ready = false
  /** The reader's own mark. */
  readSeq = 0
  /** Each reader's mark, by the user's id. @type {Map<number, number>} */
  reads = new Map()
  /** Users who are online. @type {readonly number[]} */
  online = []
  /** Admins who have the chat on their screen; for admins alone. @type {readonly { id: number, nickname: string | null }[]} */
  viewers = []

  /** The name of this chat in the outbox. @type {number | 'support'} */
  #name
  #inside
  #log = new Log()
  /** The last `seq` that is known to exist. */
  #end = 0
  /** Messages up to here were there before this reader came: they are no news. */
  #quietTo = 0
  /** The chat's end when this connection came. */
  #replayTo = 0
  /** True while this connection's stream of the chat is running. */
  #isEntered = false
  #isLeft = false
  /** True if the stream must begin, or begin again. */
  #wantsEntry = false
  /** @type {Promise<void> | null} */
  #entering = null
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #entryRetry
  /** @type {Promise<number> | null} */
  #paging = null
  /** Counts resets: an answer from before one is ignored. */
  #epoch = 0
  /** Stored messages that the stream has not brought yet, by their client id. @type {Map<string, { message: Message, seq: number }>} */
  #awaited = new Map()
  /** Outbox rows as messages, by their client id. @type {Map<string, { message: Message, settle: (receipt: Receipt) => void, fail: (error: FrontdeskError) => void }>} */
  #sends = new Map()
  /** Stored messages by `seq`, made once. @type {WeakMap<WireMessage, Message>} */
  #shown = new WeakMap()
  /** @type {readonly Message[] | null} */
  #messages = null
  /** @type {Map<number, ReturnType<typeof setTimeout>>} */
  #typists = new Map()
  #typedAt = 0
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #typingEnds
  #wantsRead = 0
  #isMarking = false
  #isChanged = false

  constructor(/** @type {Inside} */ inside, /** @type {number | 'support'} */ name) {
    super()
    this.#inside = inside
    this.#name = name
    this.id = name === 'support' ? null : name
  }

  /** All messages in hand: the stored ones by `seq`, then those that wait to be sent. */
  get messages() {
    this.#messages ??= this.#list()
    return this.#messages
  }

  get lastSeq() {
    return Math.max(this.#end, this.#log.position ?? 0)
  }

  get unread() {
    return Math.max(0, this.lastSeq - this.readSeq)
  }

  /** Others who type. */
  get typists() {
    return [...this.#typists.keys()]
  }

  get hasOlder() {
    return this.#log.hasOlder
  }

  /** True while what was missed is still coming. */
  get isCatchingUp() {
    return (this.#log.position ?? 0) < this.#replayTo
  }

  /** Messages of this chat in the outbox. */
  get waiting() {
    return this.#rows().length
  }

  /**
   * Sends a message. It is in `messages` at once, and leaves the outbox when it is stored.
   *
   * @param {string} text
   * @param {{ expectSeq?: number }} [options] `expectSeq`: store it only if the chat still ends there
   * @returns {Message}
   * @throws {FrontdeskError} `bad_request` for a blank text, `too_large`, `outbox_full`, `closed`
   */
  send(text, { expectSeq } = {}) {
    this.#inside.check(text)
    const clientId = randomId()
    this.#inside.outbox.add({
      clientId,
      chat: this.#name,
      message: text,
      ...(expectSeq === undefined ? {} : { expectSeq }),
    })
    this.typing(false)
    this.changed()
    return /** @type {Message} */ (this.messages.find((message) => message.clientId === clientId))
  }

  /** Marks as read up to `seq`; a mark only grows. */
  read(seq = this.lastSeq) {
    const mark = Math.min(seq, this.lastSeq)
    if (mark <= this.readSeq) return
    this.#mark(mark)
    this.#wantsRead = mark
    this.#sendMark()
    this.changed()
  }

  /** Tells the others that this user types, or has stopped. */
  typing(isTyping = true) {
    const now = Date.now()
    clearTimeout(this.#typingEnds)
    if (!this.#inside.connection.isOnline) return
    if (!isTyping && this.#typedAt === 0) return
    if (isTyping) this.#typingEnds = setTimeout(() => (this.#typedAt = 0), TYPING)
    if (isTyping && now - this.#typedAt < TYPING_PAUSE) return
    this.#typedAt = isTyping ? now : 0
    if (this.id !== null) this.#inside.connection.tell('typing', { chatId: this.id, typing: isTyping })
  }

  /** Reads one page of older messages. Returns how many came. */
  older() {
    this.#paging ??= this.#readOlder().finally(() => (this.#paging = null))
    return this.#paging
  }

  /**
   * Drops the older ones of many messages: for a chat that nobody reads, or whose reader is at its end. `older` reads
   * them again.
   */
  trim() {
    if (this.#log.entries.length <= MOST_UNREAD + PAGE) return
    this.#log.keepLatest(MOST_UNREAD)
    this.changed()
  }

  async #readOlder() {
    const epoch = this.#epoch
    if (this.id === null || !this.hasOlder) return 0
    const query = `limit=${PAGE}&order=desc&beforeSeq=${this.#log.first}`
    const { data } = await this.#inside.fetch(`/chats/${this.id}/messages?${query}`)
    if (epoch !== this.#epoch) return 0
    const came = this.#log.prepend(data.reverse())
    this.changed()
    return came
  }

  /** Stops following, until the chat is asked for again: its messages are dropped. What waits is still sent. */
  async leave() {
    this.#isLeft = true
    this.disconnected()
    this.reset()
    if (this.id !== null && this.#inside.connection.isOnline) {
      await this.#inside.connection.request('leave_chat', { chatIds: [this.id] })
    }
  }

  // What follows is for the client itself.

  /** The chat is asked for again. @package */
  follow() {
    if (!this.#isLeft) return
    this.#isLeft = false
    if (this.#inside.connection.isOnline) this.connected(undefined)
  }

  /** Where to resume, or null. @package */
  get position() {
    return this.id === null || this.#log.position === null ? null : { chatId: this.id, afterSeq: this.#log.position }
  }

  /** The connection is there, and has said this of the chat; nothing, of one it does not know yet. @package */
  connected(/** @type {(Entered & { id: number }) | undefined} */ entered) {
    if (entered) this.id = entered.id
    if (this.id === null || this.#isLeft) return
    if (entered) this.#take(entered)
    this.#replayTo = entered?.lastSeq ?? 0
    // A log that was dropped meanwhile has nothing that could go on, whatever was asked for.
    const isResumed =
      this.#log.position !== null && entered?.replayed !== undefined && !entered.reset && !entered.truncated
    this.#isEntered = isResumed
    if (entered?.reset) this.reset()
    if (!isResumed) this.#enter()
    this.#sendMark()
  }

  /** @package */
  disconnected() {
    this.#isEntered = false
    this.#wantsEntry = false
    clearTimeout(this.#entryRetry)
    for (const timer of this.#typists.values()) clearTimeout(timer)
    this.#typists.clear()
    this.#isMarking = false
    this.changed()
  }

  /** Drops all messages: they are read anew. @package */
  reset() {
    this.#epoch += 1
    this.#log.clear()
    this.#end = 0
    this.#replayTo = 0
    this.#wantsRead = 0
    this.readSeq = 0
    this.reads = new Map()
    this.ready = false
    this.#awaited.clear()
    this.emit('reset', undefined)
    this.changed()
  }

  /** Another user: nothing of the one before stays. @package */
  forgetAll() {
    this.reset()
    this.online = []
    this.viewers = []
    this.#sends.clear()
    if (this.#name === 'support') this.id = null
  }

  /** @package */
  ended() {
    this.disconnected()
    clearTimeout(this.#typingEnds)
    this.removeListeners()
  }

  /** @package */
  hear(/** @type {string} */ event, /** @type {any} */ data) {
    if (this.#isLeft) return
    switch (event) {
      case 'receive_message':
        return this.#receive(data)
      case 'typing':
        return this.#typed(data)
      case 'message_read':
        return this.#wasRead(data)
      case 'presence':
        this.online = [...this.online.filter((id) => id !== data.userId), ...(data.online ? [data.userId] : [])].sort(
          (a, b) => a - b,
        )
        return this.changed()
      case 'viewers':
        this.viewers = data.users
        return this.changed()
    }
  }

  /** An own message was stored. @package */
  stored(/** @type {OutboxRow} */ row, /** @type {Receipt} */ receipt) {
    const { id, seq, createdAt } = receipt
    const author = /** @type {User} */ (this.#inside.user)
    const send = this.#sends.get(row.clientId)
    const chatId = this.id ?? 0
    const message = { id, chatId, seq, kind: 'text', author, message: row.message, clientId: row.clientId, createdAt }
    send?.settle(receipt)
    this.#end = Math.max(this.#end, seq)
    if (this.#log.position === seq - 1) this.#append(message)
    else if ((this.#log.position ?? 0) < seq) {
      // Others are missing before it. Until they are there it is shown at the end.
      if (send && !this.#isLeft) this.#awaited.set(row.clientId, { message: send.message, seq })
      if (this.#isEntered) this.#enter()
    }
    this.#mark(seq)
    this.changed()
  }

  /** An own message was refused. @package */
  failed(/** @type {OutboxRow} */ row) {
    this.#sends.get(row.clientId)?.fail(errorOf(row))
    this.changed()
  }

  /** Something is different. Listeners are told once for all that happens now. @package */
  changed() {
    this.#messages = null
    if (this.#isChanged) return
    this.#isChanged = true
    queueMicrotask(() => {
      this.#isChanged = false
      this.emit('change', undefined)
    })
  }

  #take(/** @type {Entered} */ { lastSeq, readSeq, online, reads }) {
    this.#end = Math.max(lastSeq, this.#end)
    this.online = online ?? []
    for (const { userId, seq } of reads ?? []) this.reads.set(userId, Math.max(seq, this.reads.get(userId) ?? 0))
    this.readSeq = Math.max(readSeq, this.readSeq)
    this.changed()
  }

  /** Enters the chat, from where the log ends. One request at a time. */
  #enter() {
    this.#isEntered = false
    this.#wantsEntry = true
    clearTimeout(this.#entryRetry)
    this.#entering ??= this.#catchUp()
      .catch((error) => this.#notEntered(error))
      .finally(() => {
        this.#entering = null
        // A new connection came while the old one's request was still failing.
        if (this.#wantsEntry && this.#inside.connection.isOnline) this.#enter()
      })
  }

  #notEntered(/** @type {FrontdeskError} */ error) {
    // Without a connection, the next one enters.
    if (error.code === 'disconnected') return
    this.#wantsEntry = false
    if (error.retry) this.#entryRetry = setTimeout(() => this.#enter(), error.retryAfterMs ?? ENTRY_PAUSE)
    else this.#inside.failed(error)
  }

  /** Goes on until nothing is missing. */
  async #catchUp() {
    const { connection } = this.#inside
    while (this.#wantsEntry) {
      const epoch = this.#epoch
      if (this.#log.position === null) {
        const {
          chats: [known],
        } = await connection.request('enter_chat', { chatIds: [this.id] })
        if (epoch !== this.#epoch) continue
        this.#take(known)
        this.#quietTo = known.lastSeq
        this.#log.begin(firstLook(known))
      }
      this.#wantsEntry = false
      const {
        chats: [entered],
      } = await connection.request('enter_chat', { chats: [this.position] })
      if (epoch !== this.#epoch) {
        this.#wantsEntry = true
        continue
      }
      if (entered.reset) this.reset()
      else this.#take(entered)
      // An own message may have been numbered before what came between.
      const isBehind = entered.reset || entered.truncated || (this.#log.position ?? 0) < this.#end
      if (isBehind) this.#wantsEntry = true
    }
    this.#isEntered = true
    this.ready = true
    this.changed()
  }

  #receive(/** @type {WireMessage} */ message) {
    this.#end = Math.max(this.#end, message.seq)
    this.#stopTyping(message.author.id)
    if (this.#log.position === null) return
    // It was sent here: that it is stored is no news.
    const isSent = this.#sends.has(message.clientId ?? '')
    const result = this.#append(message)
    if (result === 'hole' && this.#isEntered) this.#enter()
    if (result !== 'new') return
    this.changed()
    if (!isSent && message.seq > this.#quietTo && message.kind === 'text') this.emit('message', this.#show(message))
  }

  #append(/** @type {WireMessage} */ message) {
    const result = this.#log.append(message)
    if (result !== 'new') return result
    const isOwn = message.author.id === this.#inside.user?.id
    if (!isOwn) return result
    this.#mark(message.seq)
    if (message.clientId) {
      this.#awaited.delete(message.clientId)
      // It was stored by an earlier try, whose answer was lost.
      this.#sends.get(message.clientId)?.settle({ ...message, duplicate: false })
    }
    return result
  }

  #mark(/** @type {number} */ seq) {
    this.readSeq = Math.max(this.readSeq, seq)
    const own = this.#inside.user?.id
    if (own !== undefined) this.reads.set(own, Math.max(seq, this.reads.get(own) ?? 0))
    if (this.id !== null) this.#inside.marked({ chatId: this.id, seq: this.readSeq })
  }

  async #sendMark() {
    const { connection } = this.#inside
    if (this.#isMarking || this.#wantsRead === 0 || this.id === null || !connection.isOnline) return
    this.#isMarking = true
    const seq = this.#wantsRead
    try {
      await connection.insist('read_message', () => ({ chatId: this.id, seq }))
      if (this.#wantsRead === seq) this.#wantsRead = 0
    } catch (error) {
      // Without a connection the next one sends it. Otherwise it is not worth a second try.
      if (/** @type {FrontdeskError} */ (error).code !== 'disconnected') this.#wantsRead = 0
    }
    this.#isMarking = false
    this.#sendMark()
  }

  #wasRead(/** @type {{ userId: number, seq: number }} */ { userId, seq }) {
    this.reads.set(userId, Math.max(seq, this.reads.get(userId) ?? 0))
    if (userId === this.#inside.user?.id) this.readSeq = Math.max(seq, this.readSeq)
    this.changed()
  }

  #typed(/** @type {{ userId: number, typing: boolean }} */ { userId, typing }) {
    this.#stopTyping(userId)
    if (typing)
      this.#typists.set(
        userId,
        setTimeout(() => this.#stopTyping(userId), TYPING),
      )
    this.changed()
  }

  #stopTyping(/** @type {number} */ userId) {
    if (!this.#typists.has(userId)) return
    clearTimeout(this.#typists.get(userId))
    this.#typists.delete(userId)
    this.changed()
  }

  #rows() {
    return this.#inside.outbox.rows.filter(({ chat }) => chat === this.#name)
  }

  #list() {
    const stored = this.#log.entries.map((message) => this.#show(message))
    const known = new Set(stored.map(({ clientId }) => clientId))
    const position = this.#log.position ?? 0
    // A look that began behind such a message has it not, and it waits for nothing.
    for (const [clientId, { seq }] of this.#awaited) if (seq <= position) this.#awaited.delete(clientId)
    const awaited = [...this.#awaited.values()].map(({ message }) => message)
    const waiting = this.#rows().map((row) => this.#showRow(row))
    for (const clientId of this.#sends.keys()) {
      const isWaiting = waiting.some((message) => message.clientId === clientId) || this.#awaited.has(clientId)
      if (!isWaiting) this.#sends.delete(clientId)
    }
    return Object.freeze([
      ...stored,
      ...awaited,
      ...waiting.filter(({ clientId }) => !known.has(clientId) && !this.#awaited.has(clientId ?? '')),
    ])
  }

  /** @returns {Message} */
  #show(/** @type {WireMessage} */ message) {
    const known = this.#shown.get(message)
    if (known) return known
    const { id, seq, createdAt, clientId } = message
    const own = message.author.id === this.#inside.user?.id
    const stored =
      this.#sends.get(clientId ?? '')?.message.stored ?? Promise.resolve({ id, seq, createdAt, duplicate: false })
    const key = own && clientId ? clientId : `s${seq}`
    /** @type {Message} */
    const shown = { ...message, key, state: 'stored', own, stored, retry: nothing, remove: nothing }
    this.#shown.set(message, shown)
    return shown
  }

  /** @returns {Message} */
  #showRow(/** @type {OutboxRow} */ row) {
    const { clientId, message, queuedAt } = row
    const { outbox, user } = this.#inside
    const send = this.#sends.get(clientId) ?? this.#newSend(clientId)
    const error = row.error && errorOf(row)
    if (error) send.fail(error)
    send.message = {
      key: clientId,
      state: error ? 'failed' : 'pending',
      seq: null,
      id: null,
      clientId,
      createdAt: null,
      kind: 'text',
      author: user,
      own: true,
      message,
      queuedAt,
      error,
      stored: send.message.stored,
      retry: () => this.#retry(clientId),
      remove: () => outbox.remove(clientId),
    }
    return send.message
  }

  /** A new try has a promise of its own: that of the first has been broken. */
  #retry(/** @type {string} */ clientId) {
    this.#sends.delete(clientId)
    this.#inside.outbox.retry(clientId)
  }

  #newSend(/** @type {string} */ clientId) {
    /** @type {(receipt: Receipt) => void} */
    let settle = nothing
    /** @type {(error: FrontdeskError) => void} */
    let fail = nothing
    const stored = new Promise((/** @type {(receipt: Receipt) => void} */ resolve, reject) => {
      settle = resolve
      fail = reject
    })
    // A message that nobody waits for may fail.
    stored.catch(nothing)
    const send = { message: /** @type {Message} */ ({ stored }), settle, fail }
    this.#sends.set(clientId, send)
    return send
  }
}

/** Where a chat is begun: a page before its end, or before what is unread, within a bound. */
function firstLook(/** @type {Entered} */ { lastSeq, readSeq }) {
  const unread = Math.max(readSeq - LEAD, lastSeq - MOST_UNREAD)
  return Math.max(0, Math.min(lastSeq - PAGE, unread))
}

/** The refusal of a message; of one that is not refused, a failure without a name. */
function errorOf(/** @type {OutboxRow} */ { error = { code: 'internal', message: '' } }) {
  return new FrontdeskError(error.code, error.message)
}

function nothing() {}
