// The agents' dashboard: who is signed in, and then the desk.

import { Chats } from '../client/chats.js'
import { Frontdesk } from '../client/frontdesk.js'
import { openFrame } from '../demo/frame.js'
import { demoToken, hasKey, takeKey } from '../demo/session.js'
import { readWords } from '../pages/words.js'
import { h } from '../ui/view.js'
import { Desk } from './app.js'
import { Preferences } from './preferences.js'
import { Routes } from './routes.js'
import { AccountSession, CompanySession } from './session.js'
import { noticeScreen, signInScreen } from './sign-in.js'

/** @typedef {import('./session.js').Session} Session */
/** @typedef {{ name?: string, version: string, base: string, login: import('./session.js').Login }} Config */

const preferences = new Preferences()
/** In the demo the desk is a frame of another page, which can cut its line. */
const frame = location.pathname === '/demo/agent' ? openFrame('agent') : null
if (!frame) takeKey()
/** As `/web/config` says it; the server has put it into the page. @type {Config} */
const config = JSON.parse(document.getElementById('config')?.textContent ?? '')
const routes = new Routes(frame ? null : '/desk')
const session = findSession()
let language = preferences.all.language
/** The client and its list, begun before the words are here. @type {{ client: Frontdesk, chats: Chats } | null} */
let begun = session?.isSignedIn ? connect(session) : null
let t = await readDeskWords().catch((error) => {
  // Without words there is no desk, and nobody is there.
  begun?.client.close()
  throw error
})
// A token that is here by now is used before the desk is built, which takes longer than to ask for the chats.
await new Promise((resolve) => setTimeout(resolve))
/** @type {Desk | null} */
let desk = null
dress()
preferences.on('change', dress)
open()

/** Who is signed in comes from the demo's key, else from the company's own login, else from an account here. */
function findSession() {
  if (frame || hasKey()) {
    /** @type {Session} */
    const demo = { isSignedIn: true, token: frame?.token ?? (() => demoToken('agent')), signOut: async () => undefined }
    return demo
  }
  const { local, tokenUrl } = config.login
  if (tokenUrl) return new CompanySession(tokenUrl)
  return local ? new AccountSession() : null
}

function connect(/** @type {Session} */ { token }) {
  const client = new Frontdesk({ url: location.origin, token, scope: frame ? 'demo agent' : 'desk' })
  return { client, chats: new Chats(client) }
}

function open() {
  if (!session) return show(noticeScreen({ t, title: t('desk.title'), text: t('desk.no-login') }))
  if (!session.isSignedIn && session instanceof AccountSession) return askToSignIn(session)
  const { client, chats } = begun ?? connect(session)
  begun = null
  desk = new Desk({ t, config, desk: client, chats, session, preferences, routes, left, moved: frame?.tell })
  show(desk.element)
  desk.begin()
}

function askToSignIn(/** @type {AccountSession} */ accounts) {
  // It has found that the login is over.
  begun?.client.close()
  begun = null
  const signIn = async (/** @type {string} */ email, /** @type {string} */ password, /** @type {boolean} */ stays) => {
    await accounts.signIn(email, password, stays)
    open()
  }
  show(signInScreen({ t, title: config.name ?? t('desk.title'), signIn }))
  document.querySelector('input')?.focus()
}

/** Nobody is signed in any more, or it is no agent. */
async function left(/** @type {{ state: string, role?: string }} */ { state, role }) {
  if (!desk) return
  const former = desk
  desk = null
  await former.end()
  if (session instanceof AccountSession && !session.isSignedIn) return askToSignIn(session)
  const text = t(role ? 'desk.no-agent' : state === 'blocked' ? 'desk.blocked.you' : 'desk.signed-out')
  const { loginUrl } = config.login
  const other = async () => {
    await session?.signOut()
    location.reload()
  }
  const acts = [
    h('button', { type: 'button', class: 'main', onclick: open }, t('desk.sign-in.again')),
    loginUrl ? h('a', { href: loginUrl }, t('desk.sign-in')) : null,
    session instanceof AccountSession ? h('button', { type: 'button', onclick: other }, t('desk.sign-in.other')) : null,
  ]
  show(noticeScreen({ t, title: t('desk.title'), text, acts }))
}

function show(/** @type {HTMLElement} */ element) {
  document.title = config.name ?? t('desk.title')
  document.body.replaceChildren(element)
}

/** The theme and the language that were chosen. */
async function dress() {
  const { theme } = preferences.all
  const root = document.documentElement
  if (theme === 'system') delete root.dataset.theme
  else root.dataset.theme = theme
  if (preferences.all.language === language) return
  const chosen = preferences.all.language
  language = chosen
  const words = await readDeskWords()
  // Another one was chosen meanwhile.
  if (language !== chosen) return
  t = words
  const former = desk
  desk = null
  if (!former) return
  await former.end()
  open()
}

function readDeskWords() {
  return readWords(async (known) => {
    const all = await Promise.all([import(`../i18n/${known}.js`), import(`../i18n/desk/${known}.js`)])
    return { messages: Object.assign({}, ...all.map(({ messages }) => messages)) }
  }, language)
}
