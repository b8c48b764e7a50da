// Live sessions and rooms of all nodes, for an admin, who can end a session. In English, as the descriptions are.

import { h } from '../ui/view.js'

/** @typedef {any} Json */

/** The admin's token: in the memory of this page alone. */
const token = /** @type {HTMLInputElement} */ (h('input', { type: 'password', autocomplete: 'off', spellcheck: 'false' }))
const user = /** @type {HTMLInputElement} */ (h('input', { inputmode: 'numeric', autocomplete: 'off' }))
const show = h('button', { type: 'button' }, 'Show')
const words = h('p', { role: 'status' })
const sessions = h('div', {})
const rooms = h('div', {})

/** @param {string} method @param {string} path @returns {Promise<Json>} */
async function ask(method, path) {
  const answer = await fetch(path, { method, headers: { authorization: `Bearer ${token.value}` } })
  if (answer.status === 204) return undefined
  const body = await answer.json()
  if (!answer.ok) throw new Error(body.detail)
  return body
}

/** @param {string[]} heads @param {(string | Node)[][]} rows */
const table = (heads, rows) =>
  h(
    'table',
    {},
    h('thead', {}, h('tr', {}, ...heads.map((head) => h('th', { scope: 'col' }, head)))),
    h('tbody', {}, ...rows.map((cells) => h('tr', {}, ...cells.map((cell) => h('td', {}, cell))))),
  )

/** @param {Json} session */
function sessionRow(session) {
  const end = h('button', { type: 'button', 'aria-label': `End session ${session.id}` }, 'End')
  end.addEventListener('click', () => acted(() => ask('DELETE', `/admin/sessions/${session.id}`)))
  const lag = `${session.waitingEvents} events, ${session.waitingBytes} bytes`
  const chats = session.watches ? [...session.chats, 'watches all'] : session.chats
  return [session.id, session.node, `${session.userId} (${session.role})`, session.connectedAt, chats.join(', '), lag, end]
}

async function refresh() {
  const query = user.value ? `?userId=${encodeURIComponent(user.value)}` : ''
  const [live, open] = await Promise.all([ask('GET', `/admin/sessions${query}`), ask('GET', '/admin/rooms')])
  const heads = ['Session', 'Node', 'User', 'Connected', 'Chats', 'Waiting for it', '']
  sessions.replaceChildren(table(heads, live.data.map(sessionRow)))
  const row = (/** @type {Json} */ room) => [String(room.chatId), room.node, String(room.sessions), String(room.lastSeq ?? '')]
  rooms.replaceChildren(table(['Chat', 'Node', 'Sessions', 'Delivered up to'], open.data.map(row)))
  const more = live.truncated || open.truncated ? '; there are more, or a node did not answer' : ''
  words.textContent = `${live.count} sessions, ${open.count} rooms${more}`
}

/** @param {() => Promise<unknown>} act */
async function acted(act) {
  try {
    await act()
    await refresh()
  } catch (error) {
    words.textContent = error instanceof Error ? error.message : String(error)
  }
}

show.addEventListener('click', () => acted(async () => undefined))
document.querySelector('main')?.replaceChildren(
  h('h1', {}, 'Live sessions and rooms'),
  h('label', {}, "An admin's token. It is kept in this page alone.", token),
  h('label', {}, 'Of this user alone (an id)', user),
  show,
  words,
  h('h2', {}, 'Sessions'),
  sessions,
  h('h2', {}, 'Rooms'),
  rooms,
)
