// The list of all chats, for agents: live, and whole again after a break.

import { Emitter, FrontdeskError } from './frontdesk.js'

/** @import { WireChat } from './types.js' */
/** @typedef {import('./frontdesk.js').Frontdesk} Frontdesk */

/** Chats of a page. */
const CHATS_PAGE = 50
/** Pushes of a chat may be so late, in milliseconds: what came right before a break may be missing. */
const LATE = 5_000
/** The most chats in hand: beyond it the oldest are dropped, and can be read again. */
const MOST_CHATS = 5_000

/** @extends {Emitter<{ change: void, error: FrontdeskError }>} */
export class Chats extends Emitter {
  /** Latest activity first. @type {readonly WireChat[]} */
  items = []
  /** True once the first page is here. */
  ready = false
  /** True if there are older chats than these. */
  hasMore = false
  #desk
  /** Where older chats begin. @type {string | null} */
  #after = null
  #round = 0
  /** True while no change is missing. */
  #isWhole = false
  /** No change before this time is missing; null before the first page. @type {string | null} */
  #wholeTo = null
  /** @type {(() => void)[]} */
  #ends

  constructor(/** @type {Frontdesk} */ desk) {
    super()
    this.#desk = desk
    const moved = (/** @type {WireChat} */ chat) => this.#merge([chat])
    this.#ends = [
      desk.on('state', ({ state }) => (state === 'online' ? this.#refresh() : this.#broke())),
      desk.on('user', () => this.#clear()),
      desk.on('chat_created', moved),
      desk.on('chat_updated', moved),
    ]
    if (desk.state.state === 'online') this.#refresh()
  }

  /** Reads one more page of older chats. */
  async more() {
    if (!this.hasMore) return
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
      // Without a connection the next one begins anew.
      if (round === this.#round && error.code !== 'disconnected') this.emit('error', error)
    }
  }

  /** A break in the middle of a refresh leaves the mark where it was. */
  #broke() {
    if (this.#isWhole) this.#wholeTo = before(this.items[0]?.updatedAt)
    this.#isWhole = false
  }

  #page(/** @type {string | null} */ after) {
    const cursor = after ? `&after=${encodeURIComponent(after)}` : ''
    return this.#desk.fetch(`/chats?limit=${CHATS_PAGE}&order=desc${cursor}`)
  }

  #merge(/** @type {WireChat[]} */ chats) {
    const byId = new Map(this.items.map((chat) => [chat.id, chat]))
    for (const chat of chats) {
      const known = byId.get(chat.id)
      // A page may be older than what was pushed meanwhile. What a push lacks is kept.
      if (!known || known.updatedAt <= chat.updatedAt) byId.set(chat.id, { ...known, ...chat })
    }
    const sorted = [...byId.values()].sort((a, b) => compare(b.updatedAt, a.updatedAt) || b.id - a.id)
    this.items = Object.freeze(sorted.slice(0, MOST_CHATS))
    this.emit('change', undefined)
  }

  #clear() {
    this.#round += 1
    this.items = []
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

function compare(/** @type {string} */ a, /** @type {string} */ b) {
  return a < b ? -1 : Number(a > b)
}
