// The list of chats, however many: the rows in sight are elements, and a few around them.

import { Times, initials, plain } from '../ui/format.js'
import { h, reconcile } from '../ui/view.js'

/** @typedef {import('../ui/i18n.js').Translate} Translate */
/** @typedef {import('../client/types.js').WireChat} WireChat */
/** @typedef {import('./conversations.js').Conversations} Conversations */
/** @typedef {import('./conversations.js').Summary} Summary */

/** Height of a row, in pixels; as in desk.css. */
const ROW_HEIGHT = 68
/** Rows above and below those in sight that are elements, too. */
const ROWS_AROUND = 6
/** The most rows that are elements. */
const MOST_CHAT_ROWS = 60
/** Rows before the last at which older chats are read. */
const ROWS_LEFT = 20
/** Colours of the initials. */
const FACES = 6
/** Times such as "3 minutes ago" are drawn anew so often, in milliseconds. */
const TIMES_PAUSE = 30_000

export class ChatList {
  #t
  #times
  #options
  #list
  #scroller
  /** @type {Map<number, HTMLElement>} */
  #rows = new Map()
  /** @type {readonly WireChat[]} */
  #chats = []
  /** @type {number | null} */
  #current = null
  /** The row that keys go on from. @type {number | null} */
  #cursor = null
  #timer
  #observer

  /**
   * @param {{
   *   t: Translate, conversations: Conversations, address: (id: number) => string, open: (id: number) => void,
   *   more: () => void,
   * }} options `more`: older chats are wanted
   */
  constructor({ t, ...options }) {
    this.#t = t
    this.#times = new Times(t.locale)
    this.#options = options
    this.#list = h('ul', { class: 'chats', 'aria-label': t('desk.chats') })
    this.#scroller = h('div', { class: 'chats-scroll', onscroll: () => this.#draw() }, this.#list)
    this.element = this.#scroller
    this.#observer = new ResizeObserver(() => this.#draw())
    this.#observer.observe(this.#scroller)
    this.#timer = setInterval(() => this.#draw(), TIMES_PAUSE)
  }

  end() {
    this.#observer.disconnect()
    clearInterval(this.#timer)
  }

  show(/** @type {readonly WireChat[]} */ chats, /** @type {number | null} */ current) {
    if (current !== this.#current) this.#cursor = current
    this.#chats = chats
    this.#current = current
    this.#draw()
  }

  /** Moves the focus to the next row, or to the one before. */
  step(/** @type {1 | -1} */ direction) {
    const { length } = this.#chats
    if (length === 0) return
    const at = this.#chats.findIndex(({ id }) => id === this.#cursor)
    const next = at < 0 ? 0 : Math.min(length - 1, Math.max(0, at + direction))
    this.#cursor = this.#chats[next].id
    const top = next * ROW_HEIGHT
    const { scrollTop, clientHeight } = this.#scroller
    if (top < scrollTop) this.#scroller.scrollTop = top
    else if (top + ROW_HEIGHT > scrollTop + clientHeight) this.#scroller.scrollTop = top + ROW_HEIGHT - clientHeight
    this.#draw()
    this.#rows.get(this.#cursor)?.querySelector('a')?.focus({ preventScroll: true })
  }

  /** Goes to the row of a chat, if that is in sight. */
  focus(/** @type {number} */ id) {
    this.#rows.get(id)?.querySelector('a')?.focus()
  }

  toTop() {
    this.#scroller.scrollTop = 0
  }

  #draw() {
    const { length } = this.#chats
    // Before the first chats there is nothing to place: the page need not be measured.
    if (this.#options.conversations.all.length === 0 && this.#rows.size === 0) return
    const { scrollTop, clientHeight } = this.#scroller
    if (clientHeight === 0) return
    const first = Math.max(0, Math.floor(scrollTop / ROW_HEIGHT))
    const last = Math.min(length, Math.ceil((scrollTop + clientHeight) / ROW_HEIGHT))
    const from = Math.max(0, first - ROWS_AROUND)
    const to = Math.min(length, last + ROWS_AROUND, from + MOST_CHAT_ROWS)
    this.#list.style.blockSize = `${length * ROW_HEIGHT}px`
    const shown = this.#chats.slice(from, to).map((chat, index) => ({ chat, index: from + index }))
    reconcile(
      this.#list,
      this.#rows,
      shown,
      ({ chat }) => chat.id,
      ({ chat }) => h('li', {}, this.#link(chat.id)),
    )
    for (const { chat, index } of shown) this.#drawRow(chat, index)
    this.#options.conversations.see(this.#chats.slice(first, last).map(({ id }) => id))
    if (last > length - ROWS_LEFT) this.#options.more()
  }

  #drawRow(/** @type {WireChat} */ chat, /** @type {number} */ index) {
    const row = this.#rows.get(chat.id)
    if (!row) return
    row.style.insetBlockStart = `${index * ROW_HEIGHT}px`
    row.ariaSetSize = String(this.#chats.length)
    row.ariaPosInSet = String(index + 1)
    const summary = this.#options.conversations.summary(chat)
    const isCurrent = chat.id === this.#current
    const ago = this.#times.ago(summary.at)
    const shown = JSON.stringify([summary, isCurrent, ago])
    if (row.dataset.shown === shown) return
    row.dataset.shown = shown
    const link = /** @type {HTMLElement} */ (row.firstElementChild)
    link.className = summary.unread === 0 ? 'chat-row' : 'chat-row has-unread'
    if (isCurrent) link.setAttribute('aria-current', 'true')
    else link.removeAttribute('aria-current')
    link.replaceChildren(...this.#parts(summary, ago))
  }

  /** The link of a row, which stays: one that is replaced under the pointer is never clicked. */
  #link(/** @type {number} */ id) {
    return h('a', {
      href: this.#options.address(id),
      onclick: (/** @type {MouseEvent} */ event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return
        event.preventDefault()
        this.#options.open(id)
      },
    })
  }

  #parts(/** @type {Summary} */ summary, /** @type {string} */ ago) {
    const t = this.#t
    const { id, unread, isOnline, typists, last } = summary
    const name = nameOf(t, summary)
    const author = last?.author && last.author.role !== 'customer' ? `${last.author.nickname ?? ''}: ` : ''
    const text = typists.length > 0 ? t('desk.typing') : plain(`${author}${last?.text ?? ''}`)
    const parts = [
      face(summary.person?.id ?? id, name, isOnline),
      h('span', { class: 'name' }, h('bdi', {}, name)),
      h('span', { class: 'ago' }, ago),
      h('span', { class: typists.length > 0 ? 'last is-typing' : 'last', dir: 'auto' }, text),
    ]
    if (unread !== 0) {
      const words = unread === null ? t('desk.new') : t('desk.unread', { count: unread })
      parts.push(h('span', { class: 'badge', 'aria-hidden': 'true' }, String(unread ?? '•')))
      parts.push(h('span', { class: 'unseen' }, words))
    }
    if (isOnline) parts.push(h('span', { class: 'unseen' }, t('desk.online')))
    return parts
  }
}

/** The name of a chat: its customer's, or its title. */
export function nameOf(
  /** @type {Translate} */ t,
  /** @type {{ id: number, title: string | null, person: { nickname: string | null } | null }} */ { id, title, person },
) {
  return plain(person?.nickname || title || t('desk.nameless', { id }))
}

/** Initials in a circle, with a dot for who is online. */
export function face(
  /** @type {number} */ id,
  /** @type {string} */ name,
  /** @type {boolean | null} */ isOnline = null,
) {
  return h(
    'span',
    { class: `face hue-${id % FACES}`, 'aria-hidden': 'true' },
    initials(name),
    isOnline ? h('span', { class: 'dot' }) : null,
  )
}
