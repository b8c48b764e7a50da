// Who a chat is with: what is known of a customer, and the members of a group.

import { Times, plain } from '../ui/format.js'
import { icon } from '../ui/icons.js'
import { h, remove } from '../ui/view.js'
import { askToBlock } from './block.js'
import { face } from './chat-list.js'
import { reasonOf } from './dialogs.js'

/** @typedef {import('../ui/i18n.js').Translate} Translate */
/** @typedef {import('../client/types.js').WireChat} WireChat */
/** @typedef {import('../client/frontdesk.js').Frontdesk} Frontdesk */
/**
 * @typedef {{
 *   id: number, issuer: string, subject: string, role: string, nickname: string | null, email: string | null,
 *   blocked: boolean, blockReason?: string, createdAt: string, online?: boolean | null, lastSeenAt?: string | null,
 * }} Person `online`: null while nobody can tell
 */

/** Issuer of the accounts of this server, whose e-mails nobody has verified. */
const OWN_ISSUER = 'frontdesk'
/** Pause before it is asked again, after a failure, in milliseconds. */
const FAILURE_PAUSE = 5_000
/** Chats of a user that are listed. */
const MOST_CHATS_SHOWN = 20

export class PersonPanel {
  #options
  #round = 0
  #shown = ''
  /** What was said last of the customer who is shown. @type {{ person: Person, chats: WireChat[] } | null} */
  #known = null
  /** When what failed is asked for again; never, where nothing has. */
  #askAgainAt = Infinity

  /**
   * @param {{
   *   t: Translate, desk: Frontdesk, open: (chat: number) => void, close: () => void, toast: (words: string) => void,
   *   alert: (words: string) => void,
   * }} options
   */
  constructor(options) {
    this.#options = options
    this.element = h('aside', { class: 'panel', 'aria-label': options.t('desk.panel') })
  }

  /** Shows whom this chat is with, as it is known now. */
  async show(
    /** @type {WireChat} */ chat,
    /** @type {{ isOnline: boolean | null, isLive: boolean }} */ { isOnline, isLive },
    again = false,
  ) {
    const shown = JSON.stringify([chat.id, isOnline, isLive, chat.members.map(({ id }) => id)])
    if (shown === this.#shown && !again && Date.now() < this.#askAgainAt) return
    const isOther = !this.#shown.startsWith(`[${chat.id},`)
    this.#shown = shown
    this.#askAgainAt = Infinity
    const round = ++this.#round
    const customer = chat.kind === 'support' ? chat.members.find(({ role }) => role === 'customer') : undefined
    if (!customer) return this.#draw(this.#group(chat))
    // Of another one nothing stays, not even for a moment.
    if (isOther) this.#known = null
    if (isOther) this.#draw([])
    // Whether they are there cannot be told now.
    if (!isLive && this.#known) {
      const { person, chats } = this.#known
      return this.#draw(this.#person({ ...person, online: null }, chats, chat))
    }
    try {
      const { desk } = this.#options
      const [person, chats] = await Promise.all([
        desk.fetch(`/users/${customer.id}`),
        desk.fetch(`/users/${customer.id}/chats?limit=${MOST_CHATS_SHOWN}`),
      ])
      if (round !== this.#round) return
      this.#known = { person, chats: chats.data }
      this.#draw(this.#person(person, chats.data, chat))
    } catch (error) {
      const { code } = /** @type {any} */ (error)
      if (round !== this.#round) return
      this.#askAgainAt = Date.now() + FAILURE_PAUSE
      if (code !== 'disconnected') this.#draw([h('p', { class: 'failed' }, reasonOf(this.#options.t, error))])
    }
  }

  /** Shows what has changed, if that is still on the screen. */
  #again(/** @type {WireChat} */ chat) {
    if (this.#shown.startsWith(`[${chat.id},`)) this.show(chat, { isOnline: null, isLive: true }, true)
  }

  clear() {
    this.#round += 1
    this.#shown = ''
    this.#draw([])
  }

  #draw(/** @type {(Node | null)[]} */ children) {
    const { t, close } = this.#options
    const focused = this.#stops().findIndex((stop) => stop === document.activeElement)
    for (const child of [...this.element.childNodes]) remove(child)
    const words = t('desk.panel.close')
    const button = h(
      'button',
      { type: 'button', class: 'plain panel-close', 'aria-label': words, title: words, onclick: close },
      icon('close'),
    )
    this.element.append(button, ...children.filter((child) => child !== null))
    if (focused >= 0) (this.#stops()[focused] ?? button).focus()
  }

  /** What Tab leads to. */
  #stops() {
    return [...this.element.querySelectorAll('button')]
  }

  /** @param {Person} person @param {WireChat[]} chats @param {WireChat} current */
  #person(person, chats, current) {
    const { t } = this.#options
    const { id, nickname, email, issuer, subject, blocked, blockReason, online, lastSeenAt, createdAt } = person
    const times = new Times(t.locale)
    const name = plain(nickname || t('desk.nameless', { id }))
    const isSigned = issuer !== OWN_ISSUER
    const row = (/** @type {string} */ key, /** @type {string | Node} */ value, /** @type {boolean} */ signed) =>
      h('div', {}, h('dt', {}, t(key)), h('dd', {}, value, signed ? this.#signed() : null))
    const seen = lastSeenAt ? times.ago(Date.parse(lastSeenAt)) : t('desk.person.never')
    return [
      h('div', { class: 'person' }, face(id, name, online), h('h2', {}, h('bdi', {}, name))),
      blocked
        ? h(
            'p',
            { class: 'blocked' },
            icon('warn'),
            blockReason ? t('desk.blocked.why', { reason: plain(blockReason) }) : t('desk.blocked'),
          )
        : null,
      h(
        'dl',
        { class: 'facts' },
        online === null ? null : row('desk.person.seen', online ? t('desk.online') : seen, false),
        email ? row('desk.email', h('bdi', {}, plain(email)), isSigned) : null,
        row('desk.person.subject', h('bdi', {}, plain(subject)), isSigned),
        row('desk.person.since', times.day(Date.parse(createdAt)), false),
      ),
      isSigned ? null : h('p', { class: 'hint' }, t('desk.person.unverified')),
      chats.length > 1 ? h('h3', {}, t('desk.person.chats')) : null,
      chats.length > 1 ? this.#chats(chats, current) : null,
      h(
        'button',
        {
          type: 'button',
          onclick: () =>
            blocked
              ? this.#unblock(person, current)
              : askToBlock({ ...this.#options, person, done: () => this.#again(current) }),
        },
        t(blocked ? 'desk.unblock' : 'desk.block'),
      ),
    ]
  }

  /** The mark of what a signed token says. */
  #signed() {
    const { t } = this.#options
    return h(
      'span',
      { class: 'signed', title: t('desk.person.signed') },
      icon('check'),
      h('span', { class: 'unseen' }, t('desk.person.signed')),
    )
  }

  /** @param {WireChat[]} chats @param {WireChat} current */
  #chats(chats, current) {
    const { t, open } = this.#options
    const words = (/** @type {WireChat} */ { kind, title, id }) =>
      kind === 'support' ? t('desk.person.support') : plain(title || t('desk.nameless', { id }))
    return h(
      'ul',
      { class: 'links' },
      ...chats.map((chat) =>
        h(
          'li',
          {},
          chat.id === current.id
            ? h('span', {}, words(chat))
            : h('button', { type: 'button', class: 'link', onclick: () => open(chat.id) }, words(chat)),
        ),
      ),
    )
  }

  #group(/** @type {WireChat} */ { id, title, members }) {
    const { t } = this.#options
    return [
      h('h2', {}, plain(title || t('desk.nameless', { id }))),
      h('h3', {}, t('desk.members', { count: members.length })),
      h(
        'ul',
        { class: 'links' },
        ...members.map(({ id, nickname, role }) => {
          const name = plain(nickname || t('desk.nameless', { id }))
          return h('li', {}, face(id, name), h('bdi', {}, name), h('span', { class: 'hint' }, t(`desk.role.${role}`)))
        }),
      ),
    ]
  }

  async #unblock(/** @type {Person} */ { id, nickname }, /** @type {WireChat} */ chat) {
    const { t, desk, toast, alert } = this.#options
    try {
      await desk.fetch(`/users/${id}/unblock`, { method: 'POST', body: {} })
      toast(t('desk.unblock.done', { name: plain(nickname || t('desk.nameless', { id })) }))
      this.#again(chat)
    } catch (error) {
      alert(reasonOf(t, error))
    }
  }
}
