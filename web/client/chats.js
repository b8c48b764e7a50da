// The list of all chats, for agents: live, and whole again after a break.

import { Emitter, FrontdeskError } from './frontdesk.js'

/** @import { WireChat } from './types.js' */
/** @typedef {import('./frontdesk.js').Frontdesk} Frontdesk */

/** Chats of a page, and of what is read before the connection is there: those of a screen. */
const CHATS_PAGE = 100
const CHATS_AHEAD = 30
/** Pushes of a chat may be so late, in milliseconds: what came right before a break may be missing. */
const LATE = 5_000
/** Pause before the list is asked for again, after a failure, in milliseconds. */
const REFRESH_PAUSE = 3_000
/** The most chats in hand: beyond it the oldest are dropped, and can be read again. */
const MOST_CHATS = 5_000

/**
 * Messages of a chat that its reader has not read; null while it is not known how many, of a chat that was heard
 * of for the first time as it moved.
 */
export function unreadOf(/** @type {WireChat} */ { lastSeq, readSeq }) {
  if (readSeq === undefined) return lastSeq === 0 ? 0 : null
  return Math.max(0, lastSeq - readSeq)
}

/** @extends {Emitter<{ change: void, error: FrontdeskError }>} */
export class Chats extends Emitter {
  /** Latest activity first. @type {readonly WireChat[]} */
  items = []
  /** True once a first page is here from which no change is missing. */
  ready = false
  /** True if there are older chats than these. */
  hasMore = false
  #desk
  /** The same by id. @type {Map<number, WireChat>} */
  #byId = new Map()
  /** Where older chats begin. @type {string | null} */
  #after = null
  #round = 0
  /** The page that is being read. @type {Promise<void> | null} */
  #more = null
  /** True while no change is missing. */
  #isWhole = false
  /** No change before this time is missing; null before the first page. @type {string | null} */
  #wholeTo = null
  /** The user whose list it is. @type {number | null} */
  #reader = null
  /** @type {(() => void)[]} */
  #ends

  constructor(/** @type {Frontdesk} */ desk) {
    super()
    this.#desk = desk
    const moved = (/** @type {WireChat} */ chat) => this.#merge([chat])
    this.#ends = [
      desk.on('state', ({ state }) => (state === 'online' ? this.#refresh() : this.#broke())),
      desk.on('user', (user) => this.#readBy(user?.id ?? null)),
      desk.on('chat_created', moved),
      desk.on('chat_updated', moved),
      desk.on('read', (mark) => this.#wasRead(mark)),
    ]
    this.#reader = desk.user?.id ?? null
    if (desk.state.state === 'online') this.#refresh()
    else this.#readAhead()
  }

  /** Reads one more page of older chats. */
  async more() {
    if (!this.hasMore || this.items.length >= MOST_CHATS) return
    this.#more ??= this.#readMore().finally(() => (this.#more = null))
    return this.#more
  }

  async #readMore() {
    const round = this.#round
    const { data, cursor } = await this.#page(this.#after)
    if (round !== this.#round) return
    this.#after = cursor.after
    this.hasMore = cursor.after !== null
    this.#merge(data)
  }

  close() {
    this.#round += 1
    for (const end of this.#ends.splice(0)) end()
    this.#desk.watch(false).catch(() => undefined)
    this.removeListeners()
  }

  /** The first page, while the connection is still being made: its own comes later, and is whole. */
  async #readAhead() {
    const byId = this.#byId
    const page = await this.#page(null, CHATS_AHEAD).catch(() => null)
    if (page && byId === this.#byId) this.#merge(page.data)
  }

  /** Watches first and pages then, so that no chat is missed in between. */
  async #refresh() {
    const round = ++this.#round
    const since = this.#wholeTo
    try {
      await this.#desk.watch(true)
      let after = null
      for (let pages = 0; pages < MOST_CHATS / CHATS_PAGE; pages++) {
        const { data, cursor } = await this.#page(after)
        if (round !== this.#round) return
        this.#merge(data)
        after = cursor.after
        // What has changed since the break is newer than all that was known before it.
        if (!since || !after || data.at(-1).updatedAt < since) break
      }
      if (!since) {
        this.#after = after
        this.hasMore = after !== null
      }
      this.#isWhole = true
      this.ready = true
      this.emit('change', undefined)
    } catch (cause) {
      const error = /** @type {FrontdeskError} */ (cause)
      if (round !== this.#round) return
      if (error.code !== 'disconnected') this.emit('error', error)
      // Without a connection the next one begins anew.
      if (!error.retry) return
      const again = () => round === this.#round && this.#desk.state.state === 'online' && this.#refresh()
      setTimeout(again, error.retryAfterMs ?? REFRESH_PAUSE)
    }
  }

  /** A break in the middle of a refresh leaves the mark where it was. */
  #broke() {
    if (this.#isWhole) this.#wholeTo = before(this.items[0]?.updatedAt)
    this.#isWhole = false
  }

  #page(/** @type {string | null} */ after, limit = CHATS_PAGE) {
    const cursor = after ? `&after=${encodeURIComponent(after)}` : ''
    return this.#desk.fetch(`/chats?limit=${limit}&order=desc${cursor}`)
  }

  /** Adds a chat that was read by itself: one that is older than those in hand. */
  add(/** @type {WireChat} */ chat) {
    this.#merge([chat])
  }

  #merge(/** @type {WireChat[]} */ chats) {
    const me = this.#desk.user?.id
    /** @type {Map<number, WireChat>} */
    const moved = new Map()
    for (const chat of chats) {
      const known = moved.get(chat.id) ?? this.#byId.get(chat.id)
      // A page may be older than what was pushed meanwhile. What a push lacks is kept.
      if (known && known.updatedAt > chat.updatedAt) continue
      const next = { ...known, ...chat }
      const isOwn = next.lastMessage?.author.id === me
      if (isOwn) next.readSeq = next.lastSeq
      else if (known?.readSeq !== undefined) next.readSeq = Math.max(known.readSeq, next.readSeq ?? 0)
      moved.set(chat.id, next)
      this.#byId.set(chat.id, next)
    }
    if (moved.size > 0) this.#place([...moved.values()].sort(order))
    this.emit('change', undefined)
  }

  /** Puts chats, which are in order, where they belong among the others. */
  #place(/** @type {WireChat[]} */ moved) {
    const ids = new Set(moved.map(({ id }) => id))
    const others = this.items.filter(({ id }) => !ids.has(id))
    /** @type {WireChat[]} */
    const all = []
    let at = 0
    for (const chat of moved) {
      while (at < others.length && order(others[at], chat) < 0) all.push(others[at++])
      all.push(chat)
    }
    const sorted = all.concat(others.slice(at))
    for (const { id } of sorted.splice(MOST_CHATS)) this.#byId.delete(id)
    this.items = Object.freeze(sorted)
  }

  /** The own user has read so far, here or elsewhere. */
  #wasRead(/** @type {{ chatId: number, seq: number }} */ { chatId, seq }) {
    const known = this.#byId.get(chatId)
    if (!known || (known.readSeq ?? 0) >= seq) return
    const read = { ...known, readSeq: seq }
    this.#byId.set(chatId, read)
    this.items = Object.freeze(this.items.with(this.items.indexOf(known), read))
    this.emit('change', undefined)
  }

  /** Another user: nothing of the one before stays. */
  #readBy(/** @type {number | null} */ reader) {
    const isOther = reader === null || (this.#reader !== null && this.#reader !== reader)
    this.#reader = reader
    if (isOther) this.#clear()
  }

  #clear() {
    this.#round += 1
    this.items = []
    this.#byId = new Map()
    this.ready = false
    this.#isWhole = false
    this.#wholeTo = null
    this.#after = null
    this.hasMore = false
    this.emit('change', undefined)
  }
}

function before(/** @type {string | undefined} */ time) {
  return time === undefined ? null : new Date(Date.parse(time) - LATE).toISOString()
}

/** Latest activity first. */
function order(/** @type {WireChat} */ a, /** @type {WireChat} */ b) {
  if (a.updatedAt !== b.updatedAt) return a.updatedAt < b.updatedAt ? 1 : -1
  return b.id - a.id
}
