// The panel: the customer's chat, and in words what keeps it from being live.

import { Announcer } from '../ui/announce.js'
import { Composer } from '../ui/composer.js'
import { languageOf, tagOf, translator } from '../ui/i18n.js'
import { icon } from '../ui/icons.js'
import { MessageList } from '../ui/message-list.js'
import { h, remove } from '../ui/view.js'
import { statusOf } from './status.js'

/**
 * @typedef {import('./launcher.js').Launcher} Launcher
 * @typedef {import('../client/frontdesk.js').Frontdesk} Frontdesk
 * @typedef {import('../client/frontdesk.js').Chat} Chat
 * @typedef {{ name?: string, base: string, locales: string[], widget: { accent?: string, greeting?: string } }} Config
 */

const STYLES = ['../ui/tokens.css', '../ui/base.css', '../ui/chat.css', './panel.css']
/** Widths and heights at which the panel is the whole screen; as in panel.css. */
const SMALL = '(max-width: 480px), (max-height: 480px)'
/** Waiting is said after so long, and explained after that, in milliseconds. */
const LOADING = 300
const SLOW = 5_000
/** Characters of a message until the server has named its limit. */
const CHARS = 8_000

/** Loads the style, the language and the configuration. Rejects where one cannot be had. */
export async function createPanel(/** @type {Launcher} */ launcher) {
  const [config, ...sheets] = await Promise.all([readConfig(launcher.origin), ...STYLES.map(readStyle)])
  const panel = new Panel(launcher, config, sheets)
  await panel.translate()
  return panel
}

export class Panel {
  #launcher
  #config
  #dialog = h('dialog', { class: 'panel' })
  /** Ends of what belongs to the present user's view. @type {(() => void)[]} */
  #ends = []
  /** @type {import('../ui/i18n.js').Translate} */
  #t = translator('en', {})
  #announcer = new Announcer()
  /** @type {Composer | null} */
  #composer = null
  /** @type {Record<'loading' | 'slow' | 'count', ReturnType<typeof setTimeout> | undefined>} */
  #timers = { loading: undefined, slow: undefined, count: undefined }
  /** Draws what has changed, of the present user's view. */
  #update = () => {}
  /** The user of the present view. @type {number | null} */
  #user = null
  #hasUpdate = false
  #wasDown = false

  constructor(/** @type {Launcher} */ launcher, /** @type {Config} */ config, /** @type {CSSStyleSheet[]} */ sheets) {
    this.#launcher = launcher
    this.#config = config
    launcher.defaultAccent(config.widget.accent)
    const { root } = launcher
    root.adoptedStyleSheets = [...root.adoptedStyleSheets, ...sheets]
    this.#dialog.addEventListener('cancel', (event) => {
      event.preventDefault()
      launcher.close()
    })
    this.#dialog.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && !event.isComposing) launcher.close()
    })
    // Keys in the chat are no keys of the page's.
    for (const name of ['keydown', 'keypress', 'keyup']) {
      this.#dialog.addEventListener(name, (event) => event.stopPropagation())
    }
    root.prepend(this.#dialog)
  }

  show(draft = '') {
    if (matchMedia(SMALL).matches) this.#dialog.showModal()
    else this.#dialog.show()
    if (draft && this.#composer) this.#composer.draft = draft
    this.#composer?.focus()
    this.#update()
  }

  hide() {
    this.#dialog.close()
    clearTimeout(this.#timers.count)
  }

  /** Another language: what is written stays. */
  async translate() {
    const { locale, messages } = this.#launcher.options
    const language = languageOf(locale, this.#config.locales)
    const { messages: known } = await import(`../i18n/${language}.js`)
    // Another language was asked for meanwhile.
    if (locale !== this.#launcher.options.locale) return
    this.#t = translator(tagOf(locale, language, messages !== null), { ...known, ...messages })
    this.#dialog.ariaLabel = this.#t('widget.label')
    this.#draw(this.#composer?.draft)
  }

  /** Somebody has signed out: nothing of theirs stays. Or in: what was written before that is theirs. */
  reset({ keepsDraft = false } = {}) {
    this.#user = null
    this.#draw(keepsDraft ? this.#composer?.draft : '')
  }

  end() {
    this.#clear()
    this.#dialog.remove()
  }

  #clear() {
    for (const end of this.#ends.splice(0)) end()
    for (const timer of Object.values(this.#timers)) clearTimeout(timer)
    this.#announcer = new Announcer()
    for (const child of [...this.#dialog.childNodes]) remove(child)
  }

  #draw(written = '') {
    this.#clear()
    const t = this.#t
    const { desk } = this.#launcher
    const user = desk?.user?.id ?? this.#user
    const draft = this.#user === null || this.#user === user ? written : ''
    this.#user = user
    const chat = desk?.support() ?? null
    const there = h('span', { class: 'there', hidden: true })
    const strips = h('div', {})
    const middle = h('p', { class: 'middle', hidden: true })
    const typing = h('p', { class: 'typing' })
    const list = this.#newList(chat)
    const composer = (this.#composer = this.#newComposer(desk, chat))
    composer.draft = draft
    const body = h('div', { class: 'body' }, list.element, middle, typing)
    const isFocused = this.#dialog.open
    this.#dialog.append(
      h(
        'header',
        { class: 'head' },
        h('h2', {}, this.#config.name ?? t('widget.title'), there),
        h(
          'button',
          {
            type: 'button',
            class: 'plain',
            'aria-label': t('widget.close'),
            title: t('widget.close'),
            onclick: () => this.#launcher.close(),
          },
          icon('close'),
        ),
      ),
      strips,
      body,
      composer.element,
      ...this.#announcer.elements,
    )
    if (isFocused) composer.focus()
    this.#update = () => this.#show({ desk, chat, there, strips, middle, typing, list })
    this.#ends.push(() => list.end())
    if (desk && chat) this.#follow(desk, chat)
    this.#update()
  }

  #newList(/** @type {Chat | null} */ chat) {
    return new MessageList({
      t: this.#t,
      me: () => this.#launcher.desk?.user?.id ?? null,
      older: async () => chat?.older(),
      seen: (seq) => chat?.read(seq),
      edit: (message) => {
        this.#composer?.restore(message.message)
        message.remove()
        this.#composer?.focus()
      },
    })
  }

  #newComposer(/** @type {Frontdesk | null} */ desk, /** @type {Chat | null} */ chat) {
    return new Composer({
      t: this.#t,
      limit: () => desk?.limits?.messageChars ?? CHARS,
      typing: (isTyping) => chat?.typing(isTyping),
      send: (text) => {
        try {
          const sent = chat?.send(text)
          sent?.stored.then(
            () => this.#announcer.say(this.#t('list.sent'), { isAct: true }),
            (error) => this.#announcer.alert(this.#t('list.failed', { reason: this.#reason(error.code) })),
          )
          return Boolean(sent)
        } catch (error) {
          this.#announcer.alert(this.#reason(/** @type {any} */ (error).code))
          return false
        }
      },
    })
  }

  #reason(/** @type {string} */ code) {
    const sentence = this.#t(`error.${code}`)
    return sentence === `error.${code}` ? this.#t('error.internal') : sentence
  }

  #follow(/** @type {Frontdesk} */ desk, /** @type {Chat} */ chat) {
    this.#ends.push(
      chat.on('change', () => this.#update()),
      desk.on('state', ({ state }) => {
        this.#update()
        if (state === 'online') this.#lookForUpdate()
      }),
      desk.on('kept', () => this.#update()),
      desk.on('user', () => {
        const isOther = this.#user !== null && this.#user !== desk.user?.id
        this.#user = desk.user?.id ?? null
        if (isOther) this.#draw()
      }),
      // The database was restored: the list opens anew, and what is written stays.
      chat.on('reset', () => this.#draw(this.#composer?.draft)),
    )
  }

  /** Draws what has changed. */
  #show(
    /** @type {{ desk: Frontdesk | null, chat: Chat | null, there: HTMLElement, strips: HTMLElement, middle: HTMLElement, typing: HTMLElement, list: MessageList }} */ {
      desk,
      chat,
      there,
      strips,
      middle,
      typing,
      list,
    },
  ) {
    if (!this.#dialog.open) return
    const t = this.#t
    const status = statusOf(desk, { t, wasDown: this.#wasDown, hasUpdate: this.#hasUpdate, now: Date.now() })
    this.#strips(strips, status)
    // What waits to be sent is shown before the server has said a word.
    if (chat && (chat.ready || chat.messages.length > 0)) list.show(chat, { isLive: desk?.state.state === 'online' })
    const names = new Map(
      (chat?.messages ?? []).flatMap(({ author, own }) => (author && !own ? [[author.id, author.nickname ?? '']] : [])),
    )
    const named = (/** @type {readonly number[]} */ ids) => ids.map((id) => names.get(id)).filter(Boolean)
    const online = desk?.state.state === 'online' ? named(chat?.online ?? []) : []
    there.hidden = online.length === 0
    there.textContent =
      online.length > 0
        ? t(online.length > 1 ? 'widget.online.more' : 'widget.online', { names: online.join(', ') })
        : ''
    const typists = chat?.typists ?? []
    const typing_names = typists.map((id) => names.get(id) || t('list.nameless')).join(', ')
    typing.textContent =
      typists.length > 0 ? t(typists.length > 1 ? 'widget.typing.more' : 'widget.typing', { names: typing_names }) : ''
    this.#middle(middle, desk, chat)
  }

  /** The greeting of an empty chat; or that it is still loading, once that takes long. */
  #middle(/** @type {HTMLElement} */ middle, /** @type {Frontdesk | null} */ desk, /** @type {Chat | null} */ chat) {
    const t = this.#t
    const isLoading =
      desk !== null && chat !== null && !chat.ready && ['connecting', 'online'].includes(desk.state.state)
    if (!isLoading) {
      clearTimeout(this.#timers.loading)
      clearTimeout(this.#timers.slow)
      this.#timers.loading = undefined
      const isEmpty = (chat?.messages.length ?? 0) === 0 && chat?.ready
      const name = desk?.user?.nickname
      const greeting = this.#config.widget.greeting ?? (name ? t('widget.empty.name', { name }) : t('widget.empty'))
      middle.hidden = !isEmpty
      middle.textContent = isEmpty ? greeting : ''
    } else if (this.#timers.loading === undefined) {
      const say = (/** @type {string} */ key) => () => Object.assign(middle, { hidden: false, textContent: t(key) })
      this.#timers.loading = setTimeout(say('widget.loading'), LOADING)
      this.#timers.slow = setTimeout(say('widget.slow'), SLOW)
    }
  }

  /** @param {HTMLElement} strips @param {import('./status.js').Status[]} all */
  #strips(strips, all) {
    clearTimeout(this.#timers.count)
    const acts = {
      now: () => this.#launcher.desk?.reconnect(),
      signIn: () => this.#launcher.signInAgain(),
      update: () => this.#launcher.restart(this.#composer?.draft),
    }
    const shown = JSON.stringify(all)
    if (all.some(({ counts }) => counts)) this.#timers.count = setTimeout(() => this.#update(), 1_000)
    if (strips.dataset.shown === shown) return
    const isFocused = strips.contains(this.#launcher.root.activeElement)
    strips.dataset.shown = shown
    for (const child of [...strips.childNodes]) remove(child)
    for (const { text, act, label, stays } of all) {
      const button = act && label ? h('button', { type: 'button', onclick: acts[act] }, label) : null
      strips.append(h('p', { class: stays ? 'strip stays' : 'strip' }, h('span', {}, text), button))
    }
    if (isFocused) (strips.querySelector('button') ?? this.#composer)?.focus()
    // The countdown is for the eye; the state is said once.
    const said = all
      .filter(({ kind }) => kind !== 'kept')
      .map(({ kind, text }) => (kind === 'waiting' ? this.#t('widget.connecting') : text))
      .join(' ')
    if (said || this.#wasDown) this.#announcer.say(said || this.#t('widget.online.again'))
    this.#wasDown = said !== ''
  }

  /** After a break the server may be another version. */
  async #lookForUpdate() {
    const config = await readConfig(this.#launcher.origin).catch(() => null)
    if (!config || new URL(import.meta.url).pathname.startsWith(config.base)) return
    this.#hasUpdate = true
    this.#update()
  }
}

/** @returns {Promise<Config>} */
async function readConfig(/** @type {string} */ origin) {
  const response = await fetch(`${origin}/web/config`, { cache: 'no-cache' })
  if (!response.ok) throw new Error(`the configuration was answered ${response.status}`)
  return response.json()
}

/** Styles are adopted, so no policy of the host's page has to allow them. */
async function readStyle(/** @type {string} */ path) {
  const response = await fetch(new URL(path, import.meta.url))
  if (!response.ok) throw new Error(`${path} was answered ${response.status}`)
  const sheet = new CSSStyleSheet()
  return sheet.replace(await response.text())
}
