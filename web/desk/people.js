// The search for people, and the making of a group of them.

import { plain } from '../ui/format.js'
import { h } from '../ui/view.js'
import { face } from './chat-list.js'
import { field, openDialog, reasonOf } from './dialogs.js'

/** @typedef {import('../ui/i18n.js').Translate} Translate */
/** @typedef {import('../client/frontdesk.js').Frontdesk} Frontdesk */
/** @typedef {import('./person-panel.js').Person} Person */

/** Pause in the writing after which it is searched, in milliseconds. */
const SEARCH_PAUSE = 150
/** People who are shown. */
const MOST_FOUND = 30
/** Characters of a search and of a title, by the protocol. */
const QUERY_LENGTH = 100
const TITLE_LENGTH = 200

/** Searches while somebody writes: an answer to an older text is ignored. */
export class PeopleSearch {
  #desk
  #found
  #round = 0
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer

  /**
   * @param {Frontdesk} desk
   * @param {(people: Person[] | null, error?: unknown) => void} found null for no search
   */
  constructor(desk, found) {
    this.#desk = desk
    this.#found = found
  }

  search(/** @type {string} */ text) {
    clearTimeout(this.#timer)
    const round = ++this.#round
    const query = text.trim().slice(0, QUERY_LENGTH)
    if (!query) return this.#found(null)
    this.#timer = setTimeout(async () => {
      try {
        const { data } = await this.#desk.fetch(`/users?limit=${MOST_FOUND}&q=${encodeURIComponent(query)}`)
        if (round === this.#round) this.#found(data)
      } catch (error) {
        if (round === this.#round) this.#found([], error)
      }
    }, SEARCH_PAUSE)
  }
}

/** A found person, to be chosen. */
export function personButton(/** @type {Translate} */ t, /** @type {Person} */ person, /** @type {() => void} */ act) {
  const { id, nickname, email, subject } = person
  const name = plain(nickname || t('desk.nameless', { id }))
  return h(
    'button',
    { type: 'button', class: 'found', onclick: act },
    face(id, name),
    h('bdi', { class: 'name' }, name),
    h('bdi', { class: 'hint' }, plain(email || subject)),
  )
}

/** The dialog that makes a group. `made` is called with the new chat's id. */
export function openGroupDialog(
  /** @type {{ t: Translate, desk: Frontdesk, made: (chat: number) => void }} */ { t, desk, made },
) {
  /** @type {Map<number, Person>} */
  const chosen = new Map()
  const title = h('input', { type: 'text', name: 'title', maxLength: TITLE_LENGTH, autocomplete: 'off' })
  const query = h('input', {
    type: 'search',
    name: 'query',
    autocomplete: 'off',
    oninput: () => search.search(query.value),
  })
  const members = h('ul', { class: 'chips', 'aria-label': t('desk.group.chosen') })
  const found = h('div', { class: 'found-list', 'aria-live': 'polite' })
  const failed = h('p', { class: 'failed', role: 'alert' })
  const button = h('button', { type: 'submit', class: 'main', disabled: true }, t('desk.group.make'))
  const search = new PeopleSearch(desk, (people, error) => {
    failed.textContent = error ? reasonOf(t, error) : ''
    const others = (people ?? []).filter(({ id }) => !chosen.has(id) && id !== desk.user?.id)
    found.replaceChildren(
      ...others.map((person) =>
        personButton(t, person, () => {
          chosen.set(person.id, person)
          query.value = ''
          found.replaceChildren()
          draw()
          query.focus()
        }),
      ),
      people && others.length === 0
        ? h('p', { class: 'hint' }, t('desk.search.none', { text: query.value.trim() }))
        : '',
    )
  })
  const draw = () => {
    button.disabled = chosen.size === 0
    members.replaceChildren(
      ...[...chosen.values()].map(({ id, nickname }) => {
        const name = plain(nickname || t('desk.nameless', { id }))
        const drop = () => {
          chosen.delete(id)
          draw()
          query.focus()
        }
        return h(
          'li',
          {},
          h('bdi', {}, name),
          h(
            'button',
            { type: 'button', class: 'plain', 'aria-label': t('desk.group.drop', { name }), onclick: drop },
            '×',
          ),
        )
      }),
    )
  }
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault()
    button.disabled = true
    const group = { userIds: [...chosen.keys()], ...(title.value.trim() ? { title: title.value.trim() } : {}) }
    try {
      const { id } = await desk.request('create_chat', group)
      const isWanted = dialog.open
      dialog.close()
      if (isWanted) made(id)
    } catch (error) {
      failed.textContent = reasonOf(t, error)
      button.disabled = false
    }
  }
  const dialog = openDialog(
    { t, title: t('desk.command.group'), name: 'ask' },
    h(
      'form',
      { class: 'form', onsubmit: submit },
      field(t('desk.group.title'), title),
      members,
      field(t('desk.group.people'), query),
      found,
      failed,
      button,
    ),
  )
  query.focus()
}
