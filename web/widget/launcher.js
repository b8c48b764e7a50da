// The launcher: the button on a host's page, and all that the page may ask of the widget.

import { launcherWords } from '../i18n/launcher.js'
import { launcherStyle } from './launcher-style.js'

/**
 * @typedef {import('../client/frontdesk.js').Frontdesk} Frontdesk
 * @typedef {import('../client/frontdesk.js').Chat} Chat
 * @typedef {import('./panel.js').Panel} Panel
 * @typedef {(ask: { reason: string, signal: AbortSignal }) => string | Promise<string>} TokenSource
 * @typedef {[name: string, ...values: any[]]} Command
 * @typedef {Command[] & { tag: HTMLScriptElement }} Queue
 */

/** The badge shows no larger number: an exact one would say no more. */
const MOST_SHOWN = 99
/** Lightness of an accent, at most on light ground and at least on dark: with it any hue can be read, and what is on it. */
const DARK = 0.47
const LIGHT = 0.78
/** The icon: a speech bubble, in a box of 24. */
const BUBBLE = 'M4 3h16a2 2 0 0 1 2 2v11a2 2 0 0 1-2 2h-8l-5 4v-4H4a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2Z'
const SVG = 'http://www.w3.org/2000/svg'
/** Panels that may fail one after the other until the launcher gives up starting anew. */
const MOST_RESTARTS = 3
/** Commands that a newer launcher is told again, the last of each name. */
const LASTING = ['token', 'locale', 'accent', 'theme', 'side', 'scope']

/** Panels that could not be loaded: browsers remember such an address, so the next one is another. */
let failures = 0

/** Puts the widget on the page of this queue. */
export function launch(/** @type {Queue} */ queue) {
  const launcher = new Launcher(queue.tag)
  const commands = queue.splice(0)
  const push = (/** @type {Command[]} */ ...more) => more.forEach((command) => launcher.command(command))
  Object.assign(window, { frontdesk: { tag: queue.tag, push } })
  push(...commands)
  launcher.start()
}

export class Launcher {
  /** The element has no class of its own: a newer version could not define it again. */
  #host = document.createElement('frontdesk-widget')
  #root = this.#host.attachShadow({ mode: 'open' })
  #button = document.createElement('button')
  #badge = document.createElement('span')
  #note = document.createElement('span')
  /** @type {Map<string, Set<(value: any) => void>>} */
  #listeners = new Map()
  /** @type {Map<string, Command>} */
  #lasting = new Map()
  /** Where tokens come from: a function of the page, or an address of its server. @type {TokenSource | string | null} */
  #token = null
  /** @type {Frontdesk | null} */
  #desk = null
  /** @type {Promise<Panel> | null} */
  #loading = null
  /** @type {Panel | null} */
  #panel = null
  /** The server's own, where the host has no wish. */
  #ownAccent = ''
  #hasStarted = false
  #isOpen = false
  /** What the page, or the user, has asked for last. */
  #isWanted = false

  constructor(/** @type {HTMLScriptElement} */ tag) {
    this.tag = tag
    this.origin = new URL(tag.src).origin
    const { locale, accent, theme, side, scope, tokenUrl } = tag.dataset
    /** The host's wishes: what the panel reads. @type {{ locale: string, messages: object | null, scope: string, accent: string }} */
    this.options = { locale: locale ?? languageOfPage(), messages: null, scope: scope ?? '', accent: accent ?? '' }
    if (theme) this.#host.setAttribute('theme', theme)
    if (side) this.#host.setAttribute('side', side)
    if (tokenUrl) this.#token = tokenUrl
    this.#build()
    this.#paint()
    this.#say()
  }

  #build() {
    const sheet = new CSSStyleSheet()
    sheet.replaceSync(launcherStyle)
    this.#root.adoptedStyleSheets = [sheet]
    const icon = document.createElementNS(SVG, 'svg')
    icon.setAttribute('viewBox', '0 0 24 24')
    icon.setAttribute('aria-hidden', 'true')
    const path = icon.appendChild(document.createElementNS(SVG, 'path'))
    path.setAttribute('d', BUBBLE)
    this.#badge.className = 'badge'
    this.#badge.ariaHidden = 'true'
    this.#badge.hidden = true
    this.#note.className = 'note'
    this.#note.role = 'status'
    this.#button.className = 'launcher'
    this.#button.type = 'button'
    this.#button.ariaExpanded = 'false'
    this.#button.append(icon, this.#badge)
    this.#button.addEventListener('click', () => (this.#isOpen ? this.close() : this.open()))
    for (const intent of ['pointerenter', 'focus']) {
      this.#button.addEventListener(intent, () => this.#loadPanel().catch(() => undefined), { once: true })
    }
    this.#root.append(this.#note, this.#button)
    // Behind the body: a page that replaces its body keeps the widget.
    document.documentElement.append(this.#host)
  }

  /** Connects, once the page has nothing more urgent to do. */
  start() {
    this.#hasStarted = true
    if (this.#token) whenIdle(() => this.#connect().catch(() => undefined))
  }

  /** Does what the page asks. */
  command(/** @type {Command} */ [name, ...values]) {
    const [value, more] = values
    if (LASTING.includes(name)) this.#lasting.set(name, [name, ...values])
    switch (name) {
      case 'open':
        return void this.open(value)
      case 'close':
        return this.close()
      case 'token':
        return this.#signIn(value)
      case 'logout':
        return this.#signIn(null)
      case 'on':
        return void this.#heard(value).add(more)
      case 'off':
        return void this.#heard(value).delete(more)
      case 'locale':
        Object.assign(this.options, { locale: value, messages: more ?? null })
        this.#say()
        return void this.#panel?.translate().catch(() => undefined)
      case 'accent':
        this.options.accent = value
        return this.#paint()
      case 'theme':
      case 'side':
        return this.#host.setAttribute(name, value)
      case 'scope':
        this.options.scope = value
        return
      default:
        console.warn(`frontdesk: there is no command ${name}`)
    }
  }

  /** The client, or null where nobody is signed in. */
  get desk() {
    return this.#desk
  }

  get root() {
    return this.#root
  }

  /** The operator's colour, where the page has no wish. */
  defaultAccent(accent = '') {
    this.#ownAccent = accent
    this.#paint()
  }

  /** The user's act after a sign-out: the page may show its own form, and the token is asked for again. */
  signInAgain() {
    this.emit('sign-in', null)
    this.#desk?.reconnect()
  }

  /** A listener of the page that throws is the page's affair. */
  emit(/** @type {string} */ name, /** @type {unknown} */ value) {
    for (const listener of this.#heard(name)) {
      try {
        listener(value)
      } catch (error) {
        console.error(error)
      }
    }
  }

  #heard(/** @type {string} */ name) {
    const known = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, known)
    return known
  }

  /** Tokens come from here now; from nowhere after a sign-out, and then nothing of the user stays. */
  #signIn(/** @type {TokenSource | null} */ token) {
    this.#token = token
    if (token) {
      if (this.#desk) this.#desk.restart()
      else if (this.#hasStarted) this.#connect().catch(() => undefined)
      return
    }
    const former = this.#desk
    this.#desk = null
    this.#panel?.reset()
    former?.forget().finally(() => former.close())
    this.#show(0)
  }

  async #connect() {
    /** @type {typeof import('../client/frontdesk.js')} */
    const { Frontdesk, tokenFrom } = await load('../client/frontdesk.js')
    if (this.#desk || !this.#token) return
    const { scope } = this.options
    // The page may replace the source of tokens.
    const token = (/** @type {any} */ ask) =>
      typeof this.#token === 'string' ? tokenFrom(this.#token) : (this.#token?.(ask) ?? '')
    const desk = new Frontdesk({ url: this.origin, scope, token })
    this.#desk = desk
    const chat = desk.support()
    desk.on('state', (state) => this.emit('state', state))
    chat.on('message', (message) => this.emit('message', message))
    chat.on('change', () => {
      if (this.#desk !== desk) return
      this.#show(chat.unread)
      this.emit('chat', chat)
    })
    this.#panel?.reset({ keepsDraft: true })
  }

  /** Opens the panel, unless the page has closed it meanwhile. */
  async open({ draft = '' } = {}) {
    this.#note.textContent = ''
    this.#isWanted = true
    let panel
    try {
      panel = await this.#loadPanel()
      if (this.#token && !this.#desk) await this.#connect()
    } catch {
      return this.restart()
    }
    if (!this.#isWanted || this.#isOpen) return
    this.#isOpen = true
    this.#button.ariaExpanded = 'true'
    panel.show(draft)
    this.emit('open', null)
  }

  close() {
    this.#isWanted = false
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#button.ariaExpanded = 'false'
    this.#panel?.hide()
    this.#button.focus()
    this.emit('close', null)
  }

  #loadPanel() {
    if (this.#loading) return this.#loading
    const loading = import(`./panel.js${failures ? `?${failures}` : ''}`)
    this.#loading = loading.then(async ({ createPanel }) => (this.#panel = await createPanel(this)))
    this.#loading.catch(() => {
      failures += 1
      this.#loading = null
    })
    return this.#loading
  }

  /** Gives way to the launcher of the server's present version, or says that there is no server. */
  async restart(draft = '') {
    const own = Reflect.get(window, 'frontdesk')
    const events = [...this.#listeners].flatMap(([name, all]) => [...all].map((listener) => ['on', name, listener]))
    const commands = [...this.#lasting.values(), ...events, ['open', { draft }]]
    try {
      if (failures > MOST_RESTARTS) throw failures
      const queue = /** @type {any} */ (Object.assign(commands, { tag: this.tag }))
      Object.assign(window, { frontdesk: queue })
      await import(`${this.origin}/widget.js?${Date.now()}`)
      await queue.loading
      // A launcher that has started has taken the commands.
      if (queue.length) throw queue
      this.#desk?.close()
      this.#panel?.end()
      this.#host.remove()
    } catch {
      Object.assign(window, { frontdesk: own })
      this.#note.textContent = this.#words().unreachable
    }
  }

  #show(/** @type {number} */ unread) {
    const shown = unread > MOST_SHOWN ? `${MOST_SHOWN}+` : String(unread)
    if (!this.#badge.hidden && this.#badge.textContent === shown) return
    this.#badge.hidden = unread === 0
    this.#badge.textContent = shown
    this.#say()
    this.emit('unread', unread)
  }

  #words() {
    const { locale, messages } = this.options
    const [language] = locale.split('-')
    return { ...launcherWords.en, ...launcherWords[language], .../** @type {any} */ (messages)?.launcher }
  }

  #say() {
    const { chat, unread } = this.#words()
    const count = this.#badge.hidden ? '' : this.#badge.textContent
    this.#button.ariaLabel = count ? unread.replace('{count}', count) : chat
    this.#host.lang = this.options.locale
  }

  #paint() {
    const accent = this.options.accent || this.#ownAccent
    if (accent && !CSS.supports('color', accent))
      console.warn(`frontdesk: the accent ${accent} is no colour`)
    else if (accent)
      this.#host.style.setProperty(
        '--act',
        `light-dark(oklch(from ${accent} min(l, ${DARK}) c h), oklch(from ${accent} max(l, ${LIGHT}) c h))`,
      )
  }
}

/** The page's language, else the browser's. */
function languageOfPage() {
  return document.documentElement.lang || navigator.language
}

/** Runs after the page has loaded, when it is idle; 2 s later at the latest. */
function whenIdle(/** @type {() => void} */ run) {
  const soon = () =>
    'requestIdleCallback' in window ? requestIdleCallback(run, { timeout: 2_000 }) : setTimeout(run, 1)
  if (document.readyState === 'complete') soon()
  else addEventListener('load', soon, { once: true })
}

/** Loads a module. Browsers remember an address that has failed, so the next one is another. */
function load(/** @type {string} */ path) {
  return import(failures ? `${path}?${failures}` : path).catch((error) => {
    failures += 1
    throw error
  })
}
