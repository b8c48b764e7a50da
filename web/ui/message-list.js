// The list of messages: however long the chat, few of them are elements, and none moves under the eye.

import { Times } from './format.js'
import { icon } from './icons.js'
import { itemsOf } from './message-items.js'
import { draw, messageRow } from './message-row.js'
import { h, reconcile } from './view.js'

/** @typedef {import('../client/types.js').Message} Message */
/** @typedef {import('./i18n.js').Translate} Translate */
/**
 * @typedef {{
 *   messages: readonly Message[], reads: ReadonlyMap<number, number>, readSeq: number, hasOlder: boolean,
 *   ready: boolean, isCatchingUp: boolean,
 * }} ChatView
 */

/** Messages that are elements at most; the rest is made when the reader comes near. */
const MOST_ROWS = 300
/** Messages by which the window grows, and those of one that opens at what is new. */
const GROWTH = 60
const OPENING = 120
/** Distance to an end at which the window grows, in pixels. */
const NEAR = 800
/** Height of a message that must be in view for it to be seen, in pixels. */
const NEARLY = 16
/** Pause before older messages are asked for again, after a failure, in milliseconds. */
const OLDER_PAUSE = 3_000
/** Distance to the end that still counts as being there, in pixels. */
const AT_END = 40

export class MessageList {
  #t
  #times
  #options
  #list = h('ol', { class: 'messages' })
  #scroller
  #pill
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map()
  /** @type {ChatView | null} */
  #chat = null
  /** The keys of the first and last message that are elements. @type {[string, string] | null} */
  #window = null
  /** The last message of the chat when the window was set. */
  #lastKey = ''
  /** The last stored message at the time when the end was left. @type {number | null} */
  #leftAt = null
  #isAtEnd = true
  /** Width and height of the window, as they were when the list was last put in its place. */
  #size = ''
  /** @type {number | null} */
  #newAfter = null
  #hasOpened = false
  #isLive = true
  #isPaging = false
  #seen = 0
  #frame = 0
  #observer

  /**
   * @param {{
   *   t: Translate, me: () => number | null, older: () => Promise<unknown>, seen: (seq: number) => void,
   *   edit: (message: Message) => void, anyway?: (message: Message) => void, isOurs?: (message: Message) => boolean,
   * }} options `anyway`: somebody else was first, and it is to be sent all the same; `isOurs`: it stands on the side of
   *   the reader's own; `seen` is told the last message that was really on the screen
   */
  constructor({ t, ...options }) {
    this.#t = t
    this.#times = new Times(t.locale)
    this.#options = options
    this.#scroller = h(
      'div',
      {
        class: 'log',
        role: 'log',
        tabIndex: 0,
        'aria-label': t('list.label'),
        onscroll: () => this.#scrolled(),
        onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
      },
      this.#list,
    )
    this.#pill = h('button', { type: 'button', class: 'pill', hidden: true, onclick: () => this.toEnd() })
    this.element = h('div', { class: 'list' }, this.#scroller, this.#pill)
    this.#observer = new ResizeObserver(() => this.#resized())
    this.#observer.observe(this.#scroller)
    document.addEventListener('visibilitychange', this.#look)
  }

  end() {
    this.#observer.disconnect()
    document.removeEventListener('visibilitychange', this.#look)
    cancelAnimationFrame(this.#frame)
  }

  /**
   * Shows the chat as it is now.
   *
   * @param {ChatView} chat
   * @param {{ isLive?: boolean }} [line] whether there is a connection
   */
  show({ messages: all, reads, readSeq, hasOlder, ready, isCatchingUp }, { isLive = true } = {}) {
    const former = this.#chat
    this.#isLive = isLive
    // Until it is known where the reader was, only what waits to be sent is shown.
    const messages = ready ? all : all.filter(({ state }) => state !== 'stored')
    // What the chat is now: the object itself goes on.
    const chat = { messages, reads, readSeq, hasOlder, ready, isCatchingUp }
    if (!this.#hasOpened && this.#scroller.clientHeight === 0) {
      // Out of sight: it is made when it comes into it.
      this.#chat = chat
      return
    }
    const isOpening = !this.#hasOpened && ready
    if (isOpening) this.#open(chat)
    this.#chat = chat
    const last = messages.at(-1)
    // Who writes wants to see it, wherever they were.
    const isWritten = former && last?.state === 'pending' && last.key !== former.messages.at(-1)?.key
    if (isWritten) this.#isAtEnd = true
    const isNews = Boolean(former?.ready && !isOpening && !isCatchingUp && !this.#isPaging)
    this.#render({ isNews })
    if (isOpening) this.#showOpening()
    else if (this.#isAtEnd) this.#follow(former)
    this.#afterwards()
  }

  /** True while the reader is at the end, and follows what comes. */
  get isAtEnd() {
    return this.#isAtEnd
  }

  focus() {
    this.#scroller.focus({ preventScroll: true })
  }

  /** Goes to the last message. */
  toEnd() {
    this.#isAtEnd = true
    this.#leftAt = null
    this.#render({ isNews: false })
    this.#scroller.scrollTop = this.#scroller.scrollHeight
    this.#scroller.focus({ preventScroll: true })
    this.#afterwards()
  }

  #open(/** @type {ChatView} */ { messages, readSeq }) {
    this.#hasOpened = true
    this.#leftAt = null
    // It may be far from what was shown before.
    this.#window = null
    const isUnread = messages.some(({ own, seq }) => !own && seq !== null && seq > readSeq)
    this.#newAfter = isUnread ? readSeq : null
    this.#isAtEnd = !isUnread
  }

  /** A chat opens where the reader left it. */
  #showOpening() {
    const mark = this.#rows.get('new')
    if (mark) this.#alignTop(mark)
    else this.#scroller.scrollTop = this.#scroller.scrollHeight
    this.#isAtEnd = this.#distanceToEnd() <= AT_END
  }

  /** Stays at the end; a message that is longer than the window is shown from its start. */
  #follow(/** @type {ChatView | null} */ former) {
    const last = lastStored(this.#chat)
    const row = last && this.#rows.get(last.key)
    const isNew = last && !last.own && former?.ready && lastStored(former)?.key !== last.key
    if (row && isNew && row.offsetHeight > this.#scroller.clientHeight) {
      this.#alignTop(row)
      this.#isAtEnd = false
      this.#leftAt = last.seq
    } else this.#scroller.scrollTop = this.#scroller.scrollHeight
  }

  #alignTop(/** @type {HTMLElement} */ row) {
    // Not the row's own place: it may be moving in.
    const top = this.#list.getBoundingClientRect().top + row.offsetTop
    this.#scroller.scrollTop += top - this.#scroller.getBoundingClientRect().top
  }

  /** Makes the elements of the window, and keeps the one under the eye where it is. */
  #render(/** @type {{ isNews: boolean }} */ { isNews }) {
    const chat = this.#chat
    if (!chat) return
    const messages = this.#cut(chat.messages)
    const names = new Map(
      chat.messages.flatMap(({ author, own }) => (author && !own ? [[author.id, author.nickname ?? '?']] : [])),
    )
    const items = itemsOf(messages, { newAfter: this.#newAfter, reads: chat.reads, names, me: this.#options.me() })
    // What is put in while it is busy is not said: only what arrives is news.
    if (!isNews) this.#scroller.ariaBusy = 'true'
    const anchor = this.#anchor()
    const { edit, anyway, isOurs } = this.#options
    const context = { t: this.#t, times: this.#times, edit, anyway, isOurs, isLive: this.#isLive }
    reconcile(
      this.#list,
      this.#rows,
      items,
      ({ key }) => key,
      (item) => messageRow({ arrives: isNews, isSaid: isNews && 'message' in item && !item.message.own }),
    )
    for (const item of items) draw(/** @type {HTMLElement} */ (this.#rows.get(item.key)), item, context)
    if (anchor?.row.isConnected) this.#scroller.scrollTop += anchor.row.getBoundingClientRect().top - anchor.top
  }

  /** The messages that are elements. */
  #cut(/** @type {readonly Message[]} */ messages) {
    const { length } = messages
    const index = (/** @type {string} */ key) => messages.findIndex((message) => message.key === key)
    const [first, last] = this.#window?.map(index) ?? [-1, -1]
    let to = last >= 0 ? last + 1 : length
    let from = first >= 0 ? first : Math.max(0, to - GROWTH)
    const wasWhole = this.#window === null || this.#window[1] === this.#lastKey
    if (this.#isAtEnd || (wasWhole && length - from <= MOST_ROWS)) to = length
    if (this.#isAtEnd) from = Math.max(from, length - MOST_ROWS, 0)
    if (first < 0 && this.#newAfter !== null) {
      // The first unread message, a little before it, and a few screens behind it.
      const unread = messages.findIndex(({ seq }) => seq !== null && seq > Number(this.#newAfter))
      if (unread >= 0) from = Math.min(from, Math.max(0, unread - GROWTH / 2))
      to = Math.min(to, from + OPENING)
    }
    return this.#setWindow(messages, from, to)
  }

  #setWindow(/** @type {readonly Message[]} */ messages, /** @type {number} */ from, /** @type {number} */ to) {
    this.#lastKey = messages.at(-1)?.key ?? ''
    this.#window = to > from ? [messages[from].key, messages[to - 1].key] : null
    return messages.slice(from, to)
  }

  /** Moves the window towards an end that the reader is near to. */
  #grow(/** @type {-1 | 1} */ direction) {
    const messages = this.#chat?.messages ?? []
    if (!this.#window) return false
    const [first, last] = this.#window.map((key) => messages.findIndex((message) => message.key === key))
    let [from, to] = [first, last + 1]
    if (direction < 0) {
      if (from <= 0) return false
      from = Math.max(0, from - GROWTH)
      to = Math.min(to, from + MOST_ROWS)
    } else {
      if (to >= messages.length) return false
      to = Math.min(messages.length, to + GROWTH)
      from = Math.max(from, to - MOST_ROWS)
    }
    this.#setWindow(messages, from, to)
    this.#render({ isNews: false })
    return true
  }

  /** The first message whose end is in view, and where it stands. */
  #anchor() {
    const { top } = this.#scroller.getBoundingClientRect()
    for (const row of this.#list.children) {
      const place = row.getBoundingClientRect()
      if (place.bottom > top && row.classList.contains('message')) return { row, top: place.top }
    }
    return null
  }

  #distanceToEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller
    return scrollHeight - scrollTop - clientHeight
  }

  #scrolled() {
    // A window of another size moves the list, and not its reader.
    if (this.#size !== this.#sizeNow()) return
    const messages = this.#chat?.messages ?? []
    const isWhole = this.#window?.[1] === messages.at(-1)?.key
    const wasAtEnd = this.#isAtEnd
    this.#isAtEnd = isWhole && this.#distanceToEnd() <= AT_END
    if (this.#isAtEnd) this.#leftAt = null
    else if (wasAtEnd) this.#leftAt = lastStored(this.#chat)?.seq ?? null
    this.#afterwards()
  }

  #sizeNow() {
    const { clientWidth, clientHeight } = this.#scroller
    return `${clientWidth} ${clientHeight}`
  }

  #resized() {
    this.#size = this.#sizeNow()
    // A list that is hidden opens anew when it is shown.
    if (this.#scroller.clientHeight === 0) this.#hasOpened = false
    else if (!this.#hasOpened && this.#chat) this.show(this.#chat, { isLive: this.#isLive })
    if (this.#isAtEnd) this.#scroller.scrollTop = this.#scroller.scrollHeight
    this.#afterwards()
  }

  /** Grows the window, counts what has come below, and says what was seen; once a frame. */
  #afterwards() {
    this.#showPill()
    cancelAnimationFrame(this.#frame)
    this.#frame = requestAnimationFrame(() => {
      this.#scroller.ariaBusy = 'false'
      this.#look()
      const { scrollTop, clientHeight } = this.#scroller
      if (clientHeight === 0) return
      if (scrollTop < NEAR && !this.#grow(-1)) this.#older()
      if (!this.#isAtEnd && this.#distanceToEnd() < NEAR) this.#grow(1)
    })
  }

  async #older() {
    if (this.#isPaging || !this.#chat?.ready || !this.#chat.hasOlder) return
    this.#isPaging = true
    // Without an answer it is asked for again, later.
    await this.#options.older().catch(() => pause(OLDER_PAUSE))
    this.#isPaging = false
    if (this.#scroller.scrollTop < NEAR) this.#grow(-1)
  }

  #showPill() {
    const messages = this.#chat?.messages ?? []
    const leftAt = this.#leftAt
    const at = leftAt === null ? -1 : messages.findLastIndex(({ seq }) => seq !== null && seq <= leftAt)
    const count = this.#isAtEnd || at < 0 ? 0 : messages.slice(at + 1).filter(({ own }) => !own).length
    const isFar = !this.#isAtEnd && this.#distanceToEnd() > NEAR
    this.#pill.hidden = count === 0 && !isFar
    this.#pill.replaceChildren(icon('down'), count > 0 ? this.#t('list.pill', { count }) : this.#t('list.to_end'))
  }

  /** The last message on the screen was seen, if the page itself is looked at. */
  #look = () => {
    const { clientHeight } = this.#scroller
    // Before it has opened, what is shown is not where the reader was.
    if (document.visibilityState !== 'visible' || clientHeight === 0 || !this.#hasOpened) return
    const { bottom } = this.#scroller.getBoundingClientRect()
    const messages = this.#chat?.messages ?? []
    const seen = messages.findLast(({ key, seq }) => {
      const row = seq !== null && seq > this.#seen && this.#rows.get(key)
      // Its first line is enough of a long one.
      return row && row.getBoundingClientRect().top < bottom - NEARLY
    })
    if (!seen?.seq) return
    this.#seen = seen.seq
    this.#options.seen(seen.seq)
  }

  /** One stop for Tab; arrows, Home and End go from message to message. */
  #key(/** @type {KeyboardEvent} */ event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return
    const rows = [...this.#list.querySelectorAll('.message')]
    const root = /** @type {ShadowRoot} */ (this.#scroller.getRootNode())
    const at = rows.findIndex((row) => row.contains(root.activeElement))
    const next = {
      ArrowUp: at < 0 ? rows.length - 1 : at - 1,
      ArrowDown: at < 0 ? rows.length : at + 1,
      Home: 0,
      End: rows.length - 1,
    }[event.key]
    const row = next === undefined ? undefined : rows[next]
    if (!(row instanceof HTMLElement)) return
    event.preventDefault()
    row.focus({ preventScroll: true })
    row.scrollIntoView({ block: 'nearest' })
  }
}

/** The last message that the server has; those that wait stand behind it. */
function lastStored(/** @type {ChatView | null} */ chat) {
  return chat?.messages.findLast(({ seq }) => seq !== null)
}

const pause = (/** @type {number} */ time) => new Promise((resolve) => setTimeout(resolve, time))
