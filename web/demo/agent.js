// The agent's side of the demo: the list of chats, and the one that is open.

import { Chats } from '../client/chats.js'
import { Frontdesk } from '../client/frontdesk.js'
import { readWords } from '../pages/words.js'
import { Composer } from '../ui/composer.js'
import { MessageList } from '../ui/message-list.js'
import { h, reconcile, remove } from '../ui/view.js'
import { openFrame } from './frame.js'

/** @typedef {import('../client/types.js').WireChat} WireChat */
/** @typedef {import('../client/frontdesk.js').Chat} Chat */

/** Characters of a message until the server has named its limit. */
const CHARS = 8_000

const frame = openFrame('agent')
const desk = new Frontdesk({ url: location.origin, token: frame.token, scope: 'demo agent' })
const t = await readWords(async (language) => {
  const all = await Promise.all([import(`../i18n/pages/${language}.js`), import(`../i18n/${language}.js`)])
  return { messages: Object.assign({}, ...all.map(({ messages }) => messages)) }
})
const chats = new Chats(desk)
/** @type {Map<number, HTMLElement>} */
const rows = new Map()
const list = h('ul', {})
const empty = h('p', {}, t('demo.chats.empty'))
const view = h(
  'section',
  { class: 'chat', 'aria-label': t('list.label') },
  h('p', { class: 'empty' }, t('demo.nobody')),
)
document.title = t('demo.agent')
document
  .querySelector('main')
  ?.replaceChildren(
    h('nav', { class: 'chats', 'aria-label': t('demo.chats') }, h('h1', {}, t('demo.chats')), list, empty),
    view,
  )
/** @type {{ chat: Chat, list: MessageList, ends: (() => void)[] } | null} */
let open = null

desk.on('state', report)
chats.on('change', showChats)
report()

function showChats() {
  const items = chats.items.filter(({ kind }) => kind === 'support')
  empty.hidden = items.length > 0 || !chats.ready
  reconcile(
    list,
    rows,
    items,
    ({ id }) => id,
    () => h('li', {}),
  )
  for (const chat of items) showRow(chat)
  // The first customer is shown at once: there is nothing to choose.
  if (!open && items.length === 1) show(items[0].id)
}

function showRow(/** @type {WireChat} */ { id, lastMessage, lastSeq, members }) {
  const row = rows.get(id)
  if (!row) return
  const isOpen = open?.chat.id === id
  const shown = JSON.stringify([lastSeq, isOpen, members])
  if (row.dataset.shown === shown) return
  row.dataset.shown = shown
  const isFocused = row.contains(document.activeElement)
  for (const child of [...row.childNodes]) remove(child)
  const button = h(
    'button',
    { type: 'button', 'aria-current': isOpen ? 'true' : null, onclick: () => show(id) },
    h('strong', {}, h('bdi', {}, members[0]?.nickname ?? `#${id}`)),
    h('span', { class: 'last' }, lastMessage?.message ?? ''),
  )
  row.append(button)
  if (isFocused) button.focus()
}

function show(/** @type {number} */ id) {
  if (open?.chat.id === id) return
  for (const end of open?.ends ?? []) end()
  const chat = desk.chat(id)
  const typing = h('p', { class: 'typing' })
  const composer = new Composer({
    t,
    limit: () => desk.limits?.messageChars ?? CHARS,
    typing: (isTyping) => chat.typing(isTyping),
    send: (text) => Boolean(chat.send(text)),
  })
  const messages = new MessageList({
    t,
    me: () => desk.user?.id ?? null,
    older: () => chat.older(),
    seen: (seq) => chat.read(seq),
    edit: (message) => {
      composer.restore(message.message)
      message.remove()
    },
  })
  const draw = () => {
    if (chat.ready) messages.show(chat, { isLive: desk.state.state === 'online' })
    const names = chat.typists.map(
      (user) => chat.messages.find(({ author }) => author?.id === user)?.author?.nickname ?? t('list.nameless'),
    )
    typing.textContent = names.length > 0 ? t('widget.typing', { names: names.join(', ') }) : ''
    report()
  }
  open = { chat, list: messages, ends: [chat.on('change', draw), () => messages.end()] }
  view.replaceChildren(messages.element, typing, composer.element)
  desk.view(id).catch(() => undefined)
  draw()
  showChats()
}

function report() {
  frame.tell({ state: desk.state.state, seq: open?.chat.lastSeq ?? 0, waiting: open?.chat.waiting ?? 0 })
}
