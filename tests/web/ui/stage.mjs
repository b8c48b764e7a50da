// The list of messages and the box alone in a page: a chat of the test's own, and no server behind it.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'
import { openContext } from '../kit/browser.mjs'

const WEB = process.env.FRONTDESK_WEB
const TYPES = { '.js': 'text/javascript', '.css': 'text/css' }
/** The policy of the pages that the server serves, as far as scripts and styles go. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
const PAGE = '<!doctype html><html lang="en"><head><title>Stage</title></head><body><main></main></body></html>'

/** Serves the files of the folder of the pages; every other address is an empty page. */
export async function openFiles() {
  const files = createServer(async (request, response) => {
    const type = TYPES[extname(request.url)]
    if (!type) {
      response.writeHead(200, { 'content-type': 'text/html', 'content-security-policy': POLICY })
      return response.end(PAGE)
    }
    response.writeHead(200, { 'content-type': type }).end(await readFile(join(WEB, request.url)))
  })
  await new Promise((resolve) => files.listen(0, '127.0.0.1', resolve))
  return files
}

/**
 * A page with a list and a box in a shadow root, at `window.stage`:
 *
 * - `add(...messages)`, `set(index, changes)`: change the chat; `show()`: the list shows it.
 * - `sent`, `seen`, `edited`: what list and box have called back with.
 */
export async function openStage(browser, files, { locale = 'en', limit = 8_000, before, ...options } = {}) {
  const context = await openContext(browser, { viewport: { width: 400, height: 600 }, ...options })
  const page = await context.newPage()
  await before?.(page)
  await page.goto(`http://127.0.0.1:${files.address().port}/`)
  await page.evaluate(setUp, { locale, limit })
  return { context, page, stage: page.locator('#stage') }
}

async function setUp({ locale, limit }) {
  const load = (path) => import(path)
  const [{ MessageList }, { Composer }, { translator }, { h }, { messages: words }] = await Promise.all(
    ['/ui/message-list.js', '/ui/composer.js', '/ui/i18n.js', '/ui/view.js', `/i18n/${locale}.js`].map(load),
  )
  const sheets = await Promise.all(
    ['tokens', 'base', 'chat'].map(async (name) =>
      new CSSStyleSheet().replace(await (await fetch(`/ui/${name}.css`)).text()),
    ),
  )
  const own = await new CSSStyleSheet().replace(
    ':host{display:flex;flex-direction:column;block-size:560px;background:var(--surface);color:var(--ink);font:15px/1.5 var(--face)} :host([hidden]){display:none}',
  )
  const host = h('div', { id: 'stage', lang: locale })
  const root = host.attachShadow({ mode: 'open' })
  root.adoptedStyleSheets = [...sheets, own]
  document.documentElement.lang = locale
  document.querySelector('main').append(h('h1', {}, 'Stage'), host)

  const t = translator(locale, words)
  const chat = { messages: [], reads: new Map(), readSeq: 0, hasOlder: false, ready: true, isCatchingUp: false }
  const [sent, seen, edited] = [[], [], []]
  const list = new MessageList({
    t,
    me: () => 1,
    older: async () => undefined,
    seen: (seq) => seen.push(seq),
    edit: (message) => edited.push(message.message),
  })
  const composer = new Composer({ t, limit: () => limit, typing: () => undefined, send: (text) => sent.push(text) > 0 })
  root.append(list.element, composer.element)

  let seq = 0
  /** A message of the author, who is Ada if it is not said; it is stored, if nothing else is said. */
  const message = ({ author = 2, at = Date.now(), state = 'stored', ...more }) => {
    const isStored = state === 'stored'
    if (isStored) seq += 1
    return {
      key: isStored ? `s${seq}` : `own ${Math.random()}`,
      state,
      seq: isStored ? seq : null,
      createdAt: isStored ? new Date(at).toISOString() : null,
      queuedAt: at,
      own: author === 1,
      author: { id: author, nickname: ['Kim', 'Ada', 'Bo'][author - 1] },
      message: `message ${seq}`,
      retry: () => sent.push('again'),
      remove: () => sent.push('removed'),
      ...more,
    }
  }
  const show = () => list.show(chat)
  /** What is stored stands before what waits. */
  const sorted = (all) => all.toSorted((a, b) => (a.seq ?? Infinity) - (b.seq ?? Infinity) || 0)
  const add = (...all) => {
    chat.messages = sorted([...chat.messages, ...all.map(message)])
    show()
  }
  const set = (index, changes) => {
    chat.messages = chat.messages.with(index, { ...chat.messages.at(index), ...changes })
    show()
  }
  window.stage = { chat, list, composer, root, host, sent, seen, edited, add, set, show }
}
