// The admin's corner: users, live sessions, keys of services, and how the server stands.

import { Times, plain } from '../ui/format.js'
import { icon } from '../ui/icons.js'
import { h } from '../ui/view.js'
import { askToBlock } from './block.js'
import { field, openDialog, reasonOf } from './dialogs.js'

/** @typedef {import('../ui/i18n.js').Translate} Translate */
/** @typedef {import('../client/frontdesk.js').Frontdesk} Frontdesk */
/** @typedef {import('./person-panel.js').Person} Person */
/** @typedef {{ id: string, node: string, userId: number, role: string, connectedAt: string, chats: number[], watches: boolean, waitingEvents: number, waitingBytes: number }} LiveSession */
/** @typedef {{ id: number, name: string, scopes: string[], createdAt: string, lastUsedAt: string | null, revokedAt: string | null }} ServiceKey */

/** The pages of the corner. */
export const CORNERS = /** @type {const} */ (['users', 'sessions', 'keys', 'server'])
/** Users of a page. */
const USERS_PAGE = 50
/** Pause in the writing after which users are searched, in milliseconds. */
const USERS_PAUSE = 150
/** Characters of a search and of the fields of a user, by the protocol. */
const SEARCH_LENGTH = 100
const FIELD_LENGTH = 255

export class AdminCorner {
  #options
  #times
  #page = h('div', { class: 'corner-page' })
  #failed = h('p', { class: 'failed', role: 'alert' })
  #round = 0

  /**
   * @param {{
   *   t: Translate, desk: Frontdesk, corner: typeof CORNERS[number], version: string, address: (corner: string) => string,
   *   go: (corner: string) => void, openUser: (user: number) => void, back: () => void, toast: (words: string) => void,
   * }} options
   */
  constructor(options) {
    this.#options = options
    const { t, corner, address, go, back } = options
    this.#times = new Times(t.locale)
    const link = (/** @type {string} */ name) =>
      h(
        'a',
        {
          href: address(name),
          'aria-current': name === corner ? 'page' : null,
          onclick: (/** @type {MouseEvent} */ event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return
            event.preventDefault()
            go(name)
          },
        },
        t(`desk.admin.${name}`),
      )
    const words = t('desk.back')
    this.element = h(
      'section',
      { class: 'corner', 'aria-label': t('desk.admin') },
      h(
        'header',
        { class: 'head' },
        h(
          'button',
          { type: 'button', class: 'plain back', 'aria-label': words, title: words, onclick: back },
          icon('back'),
        ),
        h('nav', { class: 'tabs', 'aria-label': t('desk.admin') }, ...CORNERS.map(link)),
      ),
      this.#failed,
      this.#page,
    )
    const pages = {
      users: () => this.#users(),
      sessions: () => this.#sessions(),
      keys: () => this.#keys(),
      server: () => this.#server(),
    }
    pages[corner]()
  }

  end() {
    this.#round += 1
    this.element.remove()
  }

  /** Reads and draws; a failure is shown in place. */
  async #read(/** @type {() => Promise<(Node | string)[]>} */ draw) {
    const round = ++this.#round
    try {
      const children = await draw()
      if (round !== this.#round) return
      this.#failed.replaceChildren()
      this.#page.replaceChildren(...children)
    } catch (error) {
      if (round === this.#round) this.#failed.replaceChildren(icon('warn'), reasonOf(this.#options.t, error))
    }
  }

  /** Acts, and reads anew. */
  async #act(/** @type {() => Promise<unknown>} */ act, /** @type {() => void} */ then) {
    try {
      await act()
      then()
    } catch (error) {
      this.#failed.replaceChildren(icon('warn'), reasonOf(this.#options.t, error))
    }
  }

  #table(/** @type {string[]} */ heads, /** @type {(string | Node | null)[][]} */ rows) {
    const { t, corner } = this.#options
    if (rows.length === 0) return h('p', { class: 'hint' }, t('desk.admin.none'))
    return h(
      'div',
      { class: 'table', role: 'region', tabIndex: 0, 'aria-label': t(`desk.admin.${corner}`) },
      h(
        'table',
        {},
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            ...heads.map((key) =>
              h('th', { scope: 'col' }, key ? t(key) : h('span', { class: 'unseen' }, t('desk.admin.acts'))),
            ),
          ),
        ),
        h('tbody', {}, ...rows.map((cells) => h('tr', {}, ...cells.map((cell) => h('td', {}, cell))))),
      ),
    )
  }

  #ago(/** @type {string | null} */ time) {
    return time ? this.#times.ago(Date.parse(time)) : this.#options.t('desk.person.never')
  }

  #users() {
    const { t, desk } = this.#options
    /** @type {Person[]} */
    let people = []
    /** @type {string | null} */
    let after = null
    let round = 0
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer
    const query = h('input', {
      type: 'search',
      autocomplete: 'off',
      maxLength: SEARCH_LENGTH,
      oninput: () => {
        clearTimeout(timer)
        timer = setTimeout(() => load(null), USERS_PAUSE)
      },
    })
    const list = h('div', {})
    const more = h('button', { type: 'button', hidden: true, onclick: () => load(after) }, t('desk.admin.more'))
    const load = (/** @type {string | null} */ from) => {
      const own = ++round
      const q = query.value.trim() ? `&q=${encodeURIComponent(query.value.trim())}` : ''
      const cursor = from ? `&after=${encodeURIComponent(from)}` : ''
      return this.#act(
        async () => {
          const { data, cursor: next } = await desk.fetch(`/users?limit=${USERS_PAGE}${q}${cursor}`)
          if (own !== round) return
          people = from ? [...people, ...data] : data
          after = next.after
        },
        () => {
          this.#failed.replaceChildren()
          more.hidden = after === null
          list.replaceChildren(this.#userTable(people, () => load(null)))
        },
      )
    }
    this.#page.replaceChildren(
      h(
        'div',
        { class: 'tools' },
        field(t('desk.admin.users.search'), query),
        h('button', { type: 'button', onclick: () => this.#askForUser(() => load(null)) }, t('desk.admin.users.make')),
      ),
      list,
      more,
    )
    load(null)
  }

  #userTable(/** @type {Person[]} */ people, /** @type {() => void} */ again) {
    const { t, desk, toast, openUser } = this.#options
    const block = (/** @type {Person} */ person) =>
      person.blocked
        ? this.#act(() => desk.fetch(`/users/${person.id}/unblock`, { method: 'POST', body: {} }), again)
        : askToBlock({ t, desk, toast, person, done: again })
    return this.#table(
      ['desk.admin.name', 'desk.email', 'desk.person.subject', 'desk.admin.role', ''],
      people.map((person) => {
        const { id, nickname, email, subject, role, blocked } = person
        const name = plain(nickname || t('desk.nameless', { id }))
        const open = () => openUser(id)
        const act = t(blocked ? 'desk.unblock' : 'desk.block')
        return [
          role === 'customer'
            ? h('button', { type: 'button', class: 'link', onclick: open }, h('bdi', {}, name))
            : h('bdi', {}, name),
          h('bdi', {}, plain(email ?? '')),
          h('bdi', {}, plain(subject)),
          blocked ? h('span', { class: 'failed' }, t('desk.blocked')) : t(`desk.role.${role}`),
          id === desk.user?.id
            ? ''
            : h('button', { type: 'button', 'aria-label': `${act}: ${name}`, onclick: () => block(person) }, act),
        ]
      }),
    )
  }

  #askForUser(/** @type {() => void} */ again) {
    const { t, desk, toast } = this.#options
    const text = (/** @type {string} */ name, /** @type {string} */ type) =>
      h('input', { type, name, maxLength: FIELD_LENGTH, autocomplete: 'off' })
    const subject = text('subject', 'text')
    const nickname = text('nickname', 'text')
    const email = text('email', 'email')
    subject.required = true
    const failed = h('p', { class: 'failed', role: 'alert' })
    const submit = async (/** @type {Event} */ event) => {
      event.preventDefault()
      const given = [subject, nickname, email].filter(({ value }) => value.trim())
      const body = Object.fromEntries(given.map(({ name, value }) => [name, value.trim()]))
      try {
        await desk.fetch('/users', { method: 'POST', body })
        dialog.close()
        toast(t('desk.admin.users.made'))
        again()
      } catch (error) {
        failed.textContent = reasonOf(t, error)
      }
    }
    const dialog = openDialog(
      { t, title: t('desk.admin.users.make'), name: 'ask' },
      h(
        'form',
        { class: 'form', onsubmit: submit },
        field(t('desk.person.subject'), subject, t('desk.admin.users.subject')),
        field(t('desk.admin.name'), nickname),
        field(t('desk.email'), email),
        failed,
        h('button', { type: 'submit', class: 'main' }, t('desk.admin.users.make')),
      ),
    )
    subject.focus()
  }

  #sessions() {
    const { t, desk } = this.#options
    const end = (/** @type {string} */ id) =>
      this.#act(
        () => desk.fetch(`/admin/sessions/${id}`, { method: 'DELETE' }),
        () => this.#sessions(),
      )
    const row = (
      /** @type {LiveSession} */ { id, node, userId, role, connectedAt, chats, watches, waitingEvents, waitingBytes },
    ) => [
      `#${userId} (${t(`desk.role.${role}`)})`,
      this.#ago(connectedAt),
      watches ? t('desk.admin.sessions.all') : chats.map((chat) => `#${chat}`).join(', '),
      waitingEvents > 0
        ? t('desk.admin.sessions.waiting', { count: waitingEvents, bytes: waitingBytes })
        : t('desk.admin.sessions.live'),
      node.slice(0, 8),
      h(
        'button',
        { type: 'button', 'aria-label': `${t('desk.admin.sessions.end')}: #${userId}`, onclick: () => end(id) },
        t('desk.admin.sessions.end'),
      ),
    ]
    this.#read(async () => {
      const { data, truncated } = await desk.fetch('/admin/sessions')
      const heads = [
        'desk.admin.user',
        'desk.admin.since',
        'desk.chats',
        'desk.admin.sessions.lag',
        'desk.admin.node',
        '',
      ]
      const again = h('button', { type: 'button', onclick: () => this.#sessions() }, t('desk.admin.again'))
      return [
        h('div', { class: 'tools' }, h('p', {}, t('desk.admin.sessions.count', { count: data.length })), again),
        truncated ? h('p', { class: 'hint' }, t('desk.admin.sessions.more')) : '',
        this.#table(heads, data.map(row)),
      ]
    })
  }

  #keys() {
    const { t, desk } = this.#options
    const revoke = (/** @type {number} */ id) =>
      this.#act(
        () => desk.fetch(`/admin/keys/${id}`, { method: 'DELETE' }),
        () => this.#keys(),
      )
    const row = (/** @type {ServiceKey} */ { id, name, scopes, createdAt, lastUsedAt, revokedAt }) => [
      h('bdi', {}, plain(name)),
      scopes.join(', '),
      this.#ago(createdAt),
      this.#ago(lastUsedAt),
      revokedAt
        ? t('desk.admin.keys.revoked')
        : h(
            'button',
            { type: 'button', 'aria-label': `${t('desk.admin.keys.revoke')}: ${name}`, onclick: () => revoke(id) },
            t('desk.admin.keys.revoke'),
          ),
    ]
    this.#read(async () => {
      const { data } = await desk.fetch('/admin/keys')
      const heads = ['desk.admin.name', 'desk.admin.keys.scopes', 'desk.admin.since', 'desk.admin.keys.used', '']
      return [h('p', { class: 'hint' }, t('desk.admin.keys.hint')), this.#table(heads, data.map(row))]
    })
  }

  #server() {
    const { t, desk, version } = this.#options
    this.#read(async () => {
      const parts = await desk.fetch('/readyz').catch((error) => {
        if (error.code === 'disconnected') throw error
        return { status: 'away', reason: error.message }
      })
      const isReady = parts.status === 'ready'
      const part = (/** @type {string} */ key, /** @type {string} */ state) =>
        h(
          'div',
          { class: ['ready', 'connected'].includes(state) ? 'ok' : 'bad' },
          h('dt', {}, t(key)),
          h('dd', {}, icon(['ready', 'connected'].includes(state) ? 'check' : 'warn'), t(`desk.admin.server.${state}`)),
        )
      return [
        h(
          'dl',
          { class: 'parts' },
          part('desk.admin.server.database', isReady ? 'ready' : 'away'),
          parts.broker ? part('desk.admin.server.broker', parts.broker) : '',
          parts.backplane ? part('desk.admin.server.backplane', parts.backplane) : '',
          h('div', {}, h('dt', {}, t('desk.admin.server.version')), h('dd', {}, version)),
        ),
        h(
          'p',
          {},
          h('a', { href: '/desk/check' }, t('desk.check')),
          ' · ',
          h('a', { href: '/docs' }, t('desk.admin.server.docs')),
        ),
      ]
    })
  }
}
