// The chats as an agent sees them: the list of all, and live those that are in sight.

import { Emitter } from '../client/frontdesk.js'
import { unreadOf } from '../client/chats.js'

/** @typedef {import('../client/types.js').WireChat} WireChat */
/** @typedef {import('../client/types.js').User} User */
/** @typedef {import('../client/frontdesk.js').Frontdesk} Frontdesk */
/** @typedef {import('../client/frontdesk.js').Chat} Chat */
/** @typedef {import('../client/chats.js').Chats} Chats */
/**
 * @typedef {{
 *   id: number, title: string | null, person: User | null, unread: number | null, isOnline: boolean | null,
 *   typists: string[], last: { text: string, author: User | null } | null, at: number,
 * }} Summary `unread`: null while it is not known, of a chat that has something new; `isOnline`: of the person; null
 *   without one, and while there is no connection that would tell
 */

/** Chats that are followed beside the open one: presence and typing are live, and a switch shows them at once. */
const MOST_FOLLOWED = 40
/** Chats that begin to be followed at once, and in each pause: a session may ask only so often. */
const FOLLOWED_FIRST = 20
const FOLLOWED_NEXT = 2
const FOLLOW_PAUSE = 500

/** @extends {Emitter<{ change: void }>} */
export class Conversations extends Emitter {
  #desk
  #chats
  /** Followed chats, the one longest out of sight first. @type {Map<number, { chat: Chat, end: () => void }>} */
  #followed = new Map()
  /** @type {readonly number[]} */
  #inSight = []
  /** @type {number | null} */
  #open = null
  #budget = FOLLOWED_FIRST
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  #frame = 0
  /** @type {(() => void)[]} */
  #ends

  constructor(/** @type {Frontdesk} */ desk, /** @type {Chats} */ chats) {
    super()
    this.#desk = desk
    this.#chats = chats
    this.#ends = [
      chats.on('change', () => this.#changed()),
      desk.on('state', ({ state }) => {
        if (state === 'online') this.#budget = FOLLOWED_FIRST
        this.#changed()
      }),
    ]
  }

  get all() {
    return this.#chats.items
  }

  /** Chats with something new, those whose number is not known included. */
  get unread() {
    return this.all.filter((chat) => this.unreadIn(chat) !== 0)
  }

  end() {
    clearTimeout(this.#timer)
    cancelAnimationFrame(this.#frame)
    for (const end of this.#ends) end()
    for (const { end } of this.#followed.values()) end()
    this.removeListeners()
  }

  /** The live chat of an id, which is the one on the screen now. */
  open(/** @type {number} */ id) {
    this.#open = id
    return this.#follow(id)
  }

  /** No chat is on the screen. */
  close() {
    this.#open = null
  }

  /** These are in sight, the upper ones first: they are followed as soon as it may be. */
  see(/** @type {readonly number[]} */ ids) {
    this.#inSight = ids
    this.#followMore()
  }

  /** Messages that this agent has not read; null while that is not known. */
  unreadIn(/** @type {WireChat} */ chat) {
    const followed = this.#followed.get(chat.id)?.chat
    if (followed?.ready) return followed.unread
    return unreadOf(chat)
  }

  /** @returns {Summary} */
  summary(/** @type {WireChat} */ chat) {
    const followed = this.#followed.get(chat.id)?.chat
    const person = personOf(chat)
    const last = followed?.messages.findLast(({ state }) => state === 'stored')
    const isNewer = last?.seq && last.seq >= chat.lastSeq
    const isLive = this.#desk.state.state === 'online'
    const online = (followed?.ready ? followed.online : chat.online) ?? []
    const names = new Map(chat.members.map(({ id, nickname }) => [id, nickname]))
    const shown = isNewer ? last : chat.lastMessage
    return {
      id: chat.id,
      title: chat.title,
      person,
      unread: this.unreadIn(chat),
      isOnline: isLive && person ? online.includes(person.id) : null,
      typists: (followed?.typists ?? []).map((id) => names.get(id) ?? ''),
      last: shown ? { text: shown.message, author: shown.author } : null,
      at: Date.parse(shown?.createdAt ?? chat.updatedAt),
    }
  }

  #follow(/** @type {number} */ id) {
    const known = this.#followed.get(id)
    if (known) {
      this.#followed.delete(id)
      this.#followed.set(id, known)
      return known.chat
    }
    const chat = this.#desk.chat(id)
    const changed = () => {
      if (id !== this.#open) chat.trim()
      this.#changed()
    }
    this.#followed.set(id, { chat, end: chat.on('change', changed) })
    this.#leaveSome()
    return chat
  }

  #leaveSome() {
    const kept = new Set([...this.#inSight, this.#open])
    for (const [id, { chat, end }] of this.#followed) {
      if (this.#followed.size <= MOST_FOLLOWED) return
      if (kept.has(id)) continue
      this.#followed.delete(id)
      end()
      // It is left by the next connection at the latest.
      chat.leave().catch(() => undefined)
    }
  }

  #followMore() {
    for (const id of this.#inSight) {
      if (this.#followed.has(id)) continue
      if (this.#budget <= 0 || this.#desk.state.state !== 'online') break
      this.#budget -= 1
      this.#follow(id)
    }
    const isMissing = this.#inSight.some((id) => !this.#followed.has(id))
    if (!isMissing || this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#budget = FOLLOWED_NEXT
      this.#followMore()
    }, FOLLOW_PAUSE)
  }

  /** Listeners are told once a frame. A hidden page has no frames: its title is told all the same. */
  #changed() {
    if (this.#frame !== 0) return
    const tell = () => {
      this.#frame = 0
      this.emit('change', undefined)
    }
    if (document.visibilityState === 'visible') this.#frame = requestAnimationFrame(tell)
    else queueMicrotask(tell)
  }
}

/** The customer of a support chat. */
export function personOf(/** @type {WireChat} */ { kind, members }) {
  return kind === 'support' ? (members.find(({ role }) => role === 'customer') ?? members[0] ?? null) : null
}
