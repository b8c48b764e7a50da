// The check: says in words why a browser is not live.

import { readWords } from '../pages/words.js'
import { icon } from '../ui/icons.js'
import { h, remove } from '../ui/view.js'
import { ask, clockFinding, databaseFinding, originFinding, serverFinding, tryLine } from './probes.js'

/** @typedef {import('./probes.js').Finding} Finding */

const t = await readWords((language) => import(`../i18n/pages/${language}.js`))
const NAMES = ['server', 'database', 'clock', 'origin', 'socket', 'token']
const ICONS = { ok: 'check', bad: 'warn', skipped: 'clock', waiting: 'clock' }
const list = h('ul', { class: 'checks', 'aria-live': 'polite' })
const origin = h('input', { id: 'origin', type: 'url', value: location.origin, autocomplete: 'off' })
const token = h('textarea', { id: 'token', rows: 3, autocomplete: 'off', spellcheck: false })
const form = h(
  'form',
  {
    onsubmit: (/** @type {Event} */ event) => {
      event.preventDefault()
      run()
    },
  },
  h('label', { htmlFor: 'origin' }, t('check.form.origin')),
  origin,
  h('label', { htmlFor: 'token' }, t('check.form.token')),
  token,
  h('button', { class: 'main' }, t('check.form.submit')),
)
document.title = t('check.title')
document.querySelector('main')?.replaceChildren(h('h1', {}, t('check.title')), h('p', {}, t('check.intro')), list, form)
await run()

/** Tries everything, and shows each finding as it is there. */
async function run() {
  list.ariaBusy = 'true'
  for (const row of [...list.children]) remove(row)
  const rows = Object.fromEntries(NAMES.map((name) => [name, list.appendChild(h('li', {}))]))
  for (const name of NAMES) show(rows[name], name, { state: 'waiting', key: 'check.running' })
  try {
    const page = origin.value.trim().replace(/\/$/, '')
    const view = await ask(page)
    show(rows.server, 'server', serverFinding(view))
    show(rows.database, 'database', databaseFinding(view))
    show(rows.clock, 'clock', clockFinding(view))
    show(rows.origin, 'origin', originFinding(view, page))
    const line = await tryLine(token.value.trim())
    show(rows.socket, 'socket', line.socket)
    show(rows.token, 'token', line.token)
  } finally {
    list.ariaBusy = 'false'
  }
}

/**
 * @param {HTMLElement} row
 * @param {string} name
 * @param {{ state: Finding['state'] | 'waiting', key: string, values?: Record<string, string | number> }} finding
 */
function show(row, name, { state, key, values }) {
  for (const child of [...row.childNodes]) remove(child)
  row.className = state
  row.dataset.name = name
  const word = state === 'waiting' ? '' : t(`check.${state}`)
  row.append(
    icon(/** @type {any} */ (ICONS[state])),
    h('h2', {}, t(`check.${name}`), h('span', { class: 'unseen' }, ` (${word})`)),
    h('p', {}, t(key, values)),
  )
}
