// The desk: the list beside the conversation beside who it is, and what holds them together.

import { Announcer } from '../ui/announce.js'
import { initials, plain } from '../ui/format.js'
import { icon } from '../ui/icons.js'
import { h, remove } from '../ui/view.js'
import { AdminCorner, CORNERS } from './admin.js'
import { ChatList, nameOf } from './chat-list.js'
import { Conversations, personOf } from './conversations.js'
import { isDialogOpen, openDialog, reasonOf } from './dialogs.js'
import { Drafts } from './drafts.js'
import { Keys, openHelp } from './keys.js'
import { LiveLine } from './live-line.js'
import { Notifier } from './notifier.js'
import { openPalette } from './palette.js'
import { PeopleSearch, openGroupDialog, personButton } from './people.js'
import { PersonPanel } from './person-panel.js'
import { choiceSwitch, openSettings } from './settings.js'
import { Thread } from './thread.js'

/** @typedef {import('../ui/i18n.js').Translate} Translate */
/** @typedef {import('../client/types.js').WireChat} WireChat */
/** @typedef {import('../client/frontdesk.js').Frontdesk} Frontdesk */
/** @typedef {import('../client/chats.js').Chats} Chats */
/** @typedef {import('./keys.js').Command} Command */
/** @typedef {import('./preferences.js').Preferences} Preferences */
/** @typedef {import('./session.js').Session} Session */
/** @typedef {import('./routes.js').Route} Route */
/** @typedef {import('./routes.js').Routes} Routes */
/** @typedef {{ name?: string, version: string, base: string }} Config */

/** Width from which the panel stands beside the conversation, in pixels; as in desk.css. */
const WIDE = '(min-width: 1100px)'
/** Events that tell by what an agent works. */
const INPUTS = ['pointerdown', 'keydown']
/** Pause before older chats are asked for again, after a failure, in milliseconds. */
const MORE_PAUSE = 3_000
/** Time for which a confirmation is in sight, in milliseconds. */
const TOAST_TIME = 6_000

export class Desk {
  #t
  #options
  #desk
  #chats
  #conversations
  /** @type {Drafts | null} */
  #drafts = null
  #announcer = new Announcer()
  #notifier
  #list
  #panel
  #keys
  #live
  /** @type {Command[]} */
  #commands
  /** @type {Thread | null} */
  #thread = null
  /** @type {AdminCorner | null} */
  #corner = null
  /** @type {'all' | 'unread'} */
  #view = 'all'
  #wide = matchMedia(WIDE)
  #hasPanel = this.#wide.matches
  #hasUpdate = false
  /** When older chats may be asked for, after a failure. */
  #moreAfter = 0
  /** What was known of the last messages, so that what arrives is told once. @type {Map<number, number>} */
  #told = new Map()
  #strips = h('div', { class: 'strips' })
  #tabs
  #heading = h('h2', {})
  #search
  #found = h('div', { class: 'found-list', 'aria-live': 'polite', hidden: true })
  #empty = h('p', { class: 'empty', hidden: true })
  #pane = h('div', { class: 'pane' })
  #toasts = h('div', { class: 'toasts' })
  #user = h('button', { type: 'button', class: 'rail-button user' })
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #count
  /** Whether the last input came from a finger: until there was one, whether it probably will. */
  #isTouched = matchMedia('(pointer: coarse)').matches
  #wasDown = false
  /** @type {(() => void)[]} */
  #ends = []

  /**
   * @param {{
   *   t: Translate, config: Config, desk: Frontdesk, chats: Chats, session: Session, preferences: Preferences,
   *   routes: Routes, left: (why: { state: string, role?: string }) => void,
   *   moved?: (status: { state: string, seq: number, waiting: number }) => void,
   * }} options `left`: nobody is signed in any more, or it is no agent; `moved`: for the page around a frame, in which
   *   the only chat is opened by itself
   */
  constructor(options) {
    const { t, config, desk, chats, preferences, routes } = options
    this.#t = t
    this.#options = options
    this.#desk = desk
    this.#chats = chats
    this.#conversations = new Conversations(desk, chats)
    const open = (/** @type {number} */ chat) => this.#open(chat)
    this.#notifier = new Notifier({
      t,
      preferences,
      title: config.name ?? t('desk.title'),
      open,
      changed: () => this.#showStrips(),
    })
    this.#list = new ChatList({
      t,
      conversations: this.#conversations,
      address: (chat) => routes.address({ chat }),
      open,
      more: () => this.#more(),
    })
    this.#panel = new PersonPanel({
      t,
      desk,
      open,
      close: () => this.#togglePanel(),
      toast: (words) => this.#toast(words),
      alert: (words) => this.#announcer.alert(words),
    })
    const people = new PeopleSearch(desk, (found, error) => this.#showFound(found, error))
    this.#search = h('input', {
      type: 'search',
      autocomplete: 'off',
      placeholder: t('desk.search'),
      'aria-label': t('desk.search'),
      'aria-keyshortcuts': '/',
      oninput: () => people.search(this.#search.value),
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key !== 'Escape') return
        this.#clearSearch()
        this.#search.blur()
      },
    })
    const tab = (/** @type {'all' | 'unread'} */ view) =>
      h('button', { type: 'button', class: 'tab', onclick: () => this.#choose(view) })
    this.#tabs = { all: tab('all'), unread: tab('unread') }
    this.#live = new LiveLine(t, desk)
    this.#commands = this.#listCommands()
    this.#keys = new Keys({
      commands: this.#commands,
      isOn: () => preferences.all.keys,
      palette: () => this.#openPalette(),
    })
    const title = h('h1', { class: 'unseen' }, config.name ?? t('desk.title'))
    this.element = h(
      'div',
      { class: 'desk' },
      this.#rail(),
      h('main', { class: 'content' }, title, this.#side(), this.#pane),
      this.#panel.element,
      this.#toasts,
      ...this.#announcer.elements,
    )
    this.#ends = [
      desk.on('state', ({ state }) => this.#stateChanged(state)),
      desk.on('user', (user) => this.#userChanged(user)),
      desk.on('kept', () => this.#showStrips()),
      desk.on('error', (error) => this.#failed(error)),
      chats.on('error', (error) => this.#failed(error)),
      chats.on('change', () => this.#tell()),
      this.#conversations.on('change', () => this.#update()),
      routes.on('change', (route) => this.#show(route)),
      preferences.on('change', () => this.#update()),
    ]
    document.addEventListener('visibilitychange', this.#viewed)
    for (const name of INPUTS) document.addEventListener(name, this.#touched, true)
    this.#wide.addEventListener('change', this.#resized)
  }

  /** Shows what the address names. The connection may be there already, or refused. */
  begin() {
    const { state, user } = this.#desk
    if (user) this.#userChanged(user)
    else this.#show(this.#options.routes.now)
    this.#stateChanged(state.state)
    this.#tell()
  }

  /** Ends all, and shows nothing any more. */
  async end() {
    document.removeEventListener('visibilitychange', this.#viewed)
    for (const name of INPUTS) document.removeEventListener(name, this.#touched, true)
    this.#wide.removeEventListener('change', this.#resized)
    clearTimeout(this.#count)
    for (const end of this.#ends) end()
    this.#keys.end()
    this.#live.end()
    this.#notifier.end()
    this.#thread?.end()
    this.#corner?.end()
    this.#list.end()
    this.#conversations.end()
    this.#chats.close()
    remove(this.element)
    await this.#desk.close()
  }

  // The parts.

  #rail() {
    const t = this.#t
    const button = (
      /** @type {'chats' | 'admin' | 'settings' | 'help'} */ name,
      /** @type {string} */ words,
      /** @type {() => void} */ act,
    ) =>
      h(
        'button',
        { type: 'button', class: `rail-button ${name}`, 'aria-label': words, title: words, onclick: act },
        icon(name),
      )
    this.#user.addEventListener('click', () => this.#openUser())
    return h(
      'nav',
      { class: 'rail', 'aria-label': t('desk.rail') },
      button('chats', t('desk.chats'), () => this.#choose('all')),
      button('admin', t('desk.admin'), () => this.#options.routes.go({ corner: 'users' })),
      h('span', { class: 'rail-gap' }),
      button('help', t('desk.command.help'), () => this.#openHelp()),
      button('settings', t('desk.command.settings'), () => this.#openSettings()),
      this.#user,
    )
  }

  #side() {
    const t = this.#t
    const words = t('desk.command.group')
    return h(
      'section',
      { class: 'side', 'aria-label': t('desk.chats') },
      h(
        'header',
        { class: 'head' },
        this.#heading,
        h(
          'button',
          { type: 'button', class: 'plain', 'aria-label': words, title: words, onclick: () => this.#openGroup() },
          icon('group'),
        ),
      ),
      h('div', { class: 'search' }, this.#search),
      h('div', { class: 'tabs', role: 'group', 'aria-label': t('desk.views') }, this.#tabs.all, this.#tabs.unread),
      this.#strips,
      this.#found,
      this.#empty,
      this.#list.element,
      this.#live.element,
    )
  }

  #listCommands() {
    const { routes, preferences } = this.#options
    const hasThread = () => this.#thread !== null
    const theme = (/** @type {'system' | 'light' | 'dark'} */ theme) => () => preferences.choose({ theme })
    /** @type {Command[]} */
    const commands = [
      { name: 'next', key: 'j', run: () => this.#list.step(1) },
      { name: 'previous', key: 'k', run: () => this.#list.step(-1) },
      { name: 'unread', key: 'u', run: () => this.#openUnread() },
      { name: 'reply', key: 'r', run: () => this.#thread?.focus(), isThere: hasThread },
      { name: 'search', key: '/', run: () => this.#search.focus() },
      { name: 'all', key: 'g a', run: () => this.#choose('all') },
      { name: 'unreads', key: 'g u', run: () => this.#choose('unread') },
      { name: 'admin', key: 'g d', run: () => routes.go({ corner: 'users' }) },
      { name: 'panel', key: 'p', run: () => this.#togglePanel(), isThere: hasThread },
      { name: 'group', run: () => this.#openGroup() },
      { name: 'settings', run: () => this.#openSettings() },
      { name: 'theme.system', run: theme('system') },
      { name: 'theme.light', run: theme('light') },
      { name: 'theme.dark', run: theme('dark') },
      { name: 'help', key: '?', run: () => this.#openHelp() },
      { name: 'sign-out', run: () => this.#signOut() },
    ]
    return commands
  }

  // What is on the screen.

  #show(/** @type {Route} */ route) {
    const t = this.#t
    const { config, routes } = this.#options
    const { chat, corner } = route
    if (this.#thread?.id !== chat) {
      this.#thread?.end()
      this.#thread = null
    }
    this.#corner?.end()
    this.#corner = null
    for (const child of [...this.#pane.childNodes]) if (child !== this.#thread?.element) remove(child)
    // The list may be here before it is known who reads it: nothing opens until then.
    const user = this.#desk.user?.role === 'admin' ? this.#desk.user : null
    const wantsMore = chat !== undefined || corner !== undefined
    if (chat !== undefined && !this.#thread && user) {
      this.#drafts ??= new Drafts(user.id)
      this.#thread = new Thread({
        t,
        id: chat,
        desk: this.#desk,
        conversations: this.#conversations,
        drafts: this.#drafts,
        preferences: this.#options.preferences,
        announcer: this.#announcer,
        back: () => {
          routes.go({})
          this.#list.focus(chat)
        },
        panel: () => this.#togglePanel(),
        toast: (words) => this.#toast(words),
      })
      this.#pane.append(this.#thread.element)
      this.#focusBox()
      this.#findChat(chat)
    } else if (corner && user) {
      this.#corner = new AdminCorner({
        t,
        desk: this.#desk,
        corner: CORNERS.find((name) => name === corner) ?? 'users',
        version: config.version,
        address: (corner) => routes.address({ corner }),
        go: (corner) => routes.go({ corner }),
        openUser: (id) => this.#openPerson(id),
        back: () => routes.go({}),
        toast: (words) => this.#toast(words),
      })
      this.#pane.append(this.#corner.element)
    }
    if (chat === undefined) this.#conversations.close()
    const words = wantsMore && !user ? 'desk.loading' : 'desk.choose'
    if (!this.#thread && !this.#corner) this.#pane.append(h('p', { class: 'empty' }, t(words)))
    this.element.dataset.pane = !user ? 'list' : chat !== undefined ? 'chat' : corner ? 'corner' : 'list'
    this.#viewed()
    this.#update()
  }

  /** A chat that is older than those in the list. */
  async #findChat(/** @type {number} */ id) {
    if (this.#conversations.all.some((chat) => chat.id === id)) return
    try {
      this.#chats.add(await this.#desk.fetch(`/chats/${id}`))
    } catch (error) {
      if (this.#thread?.id !== id) return
      const { code } = /** @type {any} */ (error)
      if (code !== 'disconnected') this.#failed(/** @type {any} */ (error))
      if (code === 'chat_not_found') this.#options.routes.go({}, { isInstead: true })
    }
  }

  /** Says which chat is looked at, so that no two agents answer the same customer. */
  #viewed = () => {
    const isSeen = document.visibilityState === 'visible' && this.#desk.user !== null
    this.#desk.view(isSeen ? (this.#thread?.id ?? null) : null).catch(() => undefined)
  }

  /** A panel beside the conversation would cover it in a narrow window. */
  #resized = () => {
    this.#hasPanel = this.#wide.matches
    this.#update()
  }

  #touched = (/** @type {Event} */ event) => {
    this.#isTouched = event instanceof PointerEvent && event.pointerType === 'touch'
  }

  #update() {
    const t = this.#t
    const all = this.#conversations.all
    const unread = this.#conversations.unread
    const shown = this.#view === 'unread' ? unread : all
    const current = this.#thread?.id ?? null
    this.#heading.textContent = this.#view === 'unread' ? t('desk.command.unreads') : t('desk.chats')
    this.#tabs.all.textContent = t('desk.command.all')
    this.#tabs.unread.textContent =
      unread.length > 0 ? t('desk.tab.unread', { count: unread.length }) : t('desk.command.unreads')
    for (const [view, tab] of Object.entries(this.#tabs)) tab.ariaPressed = String(view === this.#view)
    this.#list.show(shown, current)
    const isEmpty = this.#chats.ready && shown.length === 0
    this.#empty.hidden = !isEmpty
    this.#empty.textContent = isEmpty ? t(this.#view === 'unread' ? 'desk.empty.unread' : 'desk.empty.chats') : ''
    this.#notifier.unread(unread.length)
    const chat = all.find(({ id }) => id === current)
    const isPanel = this.#hasPanel && chat !== undefined
    this.element.classList.toggle('has-panel', isPanel)
    this.#panel.element.hidden = !isPanel
    const isLive = this.#desk.state.state === 'online'
    if (isPanel) this.#panel.show(chat, { isOnline: this.#conversations.summary(chat).isOnline, isLive })
    else this.#panel.clear()
    this.#live.position = this.#thread ? this.#desk.chat(this.#thread.id).lastSeq : null
    this.#showStrips()
    this.#report()
    const isAlone = all.length === 1 && current === null && this.#desk.user !== null
    if (this.#options.moved && isAlone) this.#options.routes.go({ chat: all[0].id })
  }

  /** In words what keeps the desk from being live, and the next step. */
  #showStrips() {
    const t = this.#t
    const { state, retryAt = Date.now() } = this.#desk.state
    clearTimeout(this.#count)
    const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1_000))
    /** @type {{ text: string, label?: string, act?: () => void, stays?: boolean, said?: string }[]} */
    const strips = []
    const now = () => this.#desk.reconnect()
    if (state === 'connecting' && this.#wasDown) strips.push({ text: t('desk.connecting') })
    if (state === 'waiting')
      strips.push({
        text: t('desk.waiting', { count: seconds }),
        said: t('desk.connecting'),
        label: t('desk.now'),
        act: now,
      })
    if (state === 'offline') strips.push({ text: t('desk.no-line'), stays: true })
    if (state === 'replaced')
      strips.push({ text: t('desk.replaced'), label: t('desk.replaced.here'), act: now, stays: true })
    if (this.#desk.kept === 'tab') strips.push({ text: t('desk.kept.tab'), said: '' })
    if (this.#notifier.isBlocked)
      strips.push({ text: t('desk.sound.blocked'), label: t('desk.sound.allow'), act: () => undefined })
    if (this.#hasUpdate)
      strips.push({ text: t('desk.update'), label: t('desk.update.now'), act: () => location.reload() })
    if (state === 'waiting') this.#count = setTimeout(() => this.#showStrips(), 1_000)
    const shown = JSON.stringify(strips)
    if (this.#strips.dataset.shown === shown) return
    this.#strips.dataset.shown = shown
    // While only the words change, as the seconds do, a button stays: it may be under the pointer, or have the focus.
    const shape = JSON.stringify(strips.map(({ label, stays }) => [label, stays]))
    const isSame = shape === this.#strips.dataset.shape
    this.#strips.dataset.shape = shape
    if (!isSame) for (const child of [...this.#strips.childNodes]) remove(child)
    for (const [at, { text, label, act, stays }] of strips.entries()) {
      const words = isSame ? this.#strips.children[at].querySelector('span') : null
      if (words) words.textContent = text
      if (words) continue
      const button = label ? h('button', { type: 'button', onclick: act ?? now }, label) : null
      this.#strips.append(h('p', { class: stays ? 'strip stays' : 'strip' }, h('span', {}, text), button))
    }
    const said = strips.map(({ text, said }) => said ?? text).join(' ')
    const isDown = state !== 'online'
    if (said) this.#announcer.say(said)
    else if (this.#wasDown && !isDown) this.#announcer.say(t('desk.online.again'))
    if (!isDown) this.#wasDown = false
    else if (state !== 'connecting') this.#wasDown = true
  }

  // What happens.

  #stateChanged(/** @type {string} */ state) {
    if (state === 'signed-out' || state === 'blocked') return this.#leave({ state })
    if (state === 'online') {
      this.#lookForUpdate()
      this.#viewed()
    }
    this.#update()
  }

  #userChanged(/** @type {import('../client/types.js').User | null} */ user) {
    if (!user) return
    if (user.role !== 'admin') return this.#leave({ state: 'role', role: user.role })
    const name = plain(user.nickname ?? `#${user.id}`)
    this.#user.replaceChildren(initials(name))
    this.#user.ariaLabel = this.#user.title = this.#t('desk.user', { name })
    // Another agent: of the one before nothing stays.
    this.#drafts = new Drafts(user.id)
    this.#thread?.end()
    this.#thread = null
    this.#show(this.#options.routes.now)
  }

  /** Nobody may be here any more. Unsent words stay for the same agent, who signs in again. */
  #leave(/** @type {{ state: string, role?: string }} */ why) {
    this.#options.left(why)
  }

  async #signOut() {
    this.#drafts?.clear()
    await this.#desk.forget()
    await this.#options.session.signOut()
    this.#leave({ state: 'signed-out' })
  }

  /** Tells of customers' messages that have come since. */
  #tell() {
    const isFirst = this.#told.size === 0
    for (const chat of this.#chats.items) {
      const { id, lastSeq, lastMessage } = chat
      const known = this.#told.get(id)
      if (known !== undefined && known >= lastSeq) continue
      this.#told.set(id, lastSeq)
      if (isFirst || !this.#chats.ready || !lastMessage || lastMessage.author.role !== 'customer') continue
      // What was read on another page, or from before: no news.
      if (known === undefined && Date.parse(lastMessage.createdAt) < performance.timeOrigin) continue
      const isLookedAt = this.#thread?.id === id && document.visibilityState === 'visible' && document.hasFocus()
      const name = nameOf(this.#t, { id, title: chat.title, person: personOf(chat) })
      this.#notifier.arrived({ chat: id, seq: lastSeq, name, text: plain(lastMessage.message) }, isLookedAt)
    }
  }

  /** After a break the server may be another version. */
  async #lookForUpdate() {
    const response = await fetch('/web/config', { cache: 'no-cache' }).catch(() => null)
    if (!response?.ok) return
    const { base } = await response.json()
    this.#hasUpdate = base !== this.#options.config.base
    this.#showStrips()
  }

  #failed(/** @type {{ code: string }} */ error) {
    this.#announcer.alert(reasonOf(this.#t, error))
    this.#toast(reasonOf(this.#t, error))
  }

  #toast(/** @type {string} */ words) {
    const toast = this.#toasts.appendChild(h('p', { class: 'toast' }, words))
    setTimeout(() => toast.remove(), TOAST_TIME)
    this.#announcer.say(words, { isAct: true })
  }

  #report() {
    const chat = this.#thread ? this.#desk.chat(this.#thread.id) : null
    this.#options.moved?.({ state: this.#desk.state.state, seq: chat?.lastSeq ?? 0, waiting: chat?.waiting ?? 0 })
  }

  // What is done.

  #choose(/** @type {'all' | 'unread'} */ view) {
    this.#view = view
    this.#clearSearch()
    if (this.element.dataset.pane !== 'chat' || !matchMedia('(min-width: 720px)').matches) this.#options.routes.go({})
    this.#list.toTop()
    this.#update()
  }

  /** Opens a chat, or goes back to the box of the one that is open. */
  #open(/** @type {number} */ chat) {
    this.#options.routes.go({ chat })
    this.#focusBox()
  }

  /** The keyboard of a screen would be in the way of who reads first. */
  #focusBox() {
    if (!this.#isTouched) this.#thread?.focus()
  }

  #openUnread() {
    const next = this.#conversations.unread.find(({ id }) => id !== this.#thread?.id)
    if (next) this.#open(next.id)
    else this.#announcer.say(this.#t('desk.empty.unread'), { isAct: true })
  }

  async #more() {
    if (!this.#chats.ready || !this.#chats.hasMore || Date.now() < this.#moreAfter) return
    await this.#chats.more().catch(() => (this.#moreAfter = Date.now() + MORE_PAUSE))
  }

  #togglePanel() {
    this.#hasPanel = !this.#hasPanel
    this.#update()
    if (this.#hasPanel && !this.#wide.matches) this.#panel.element.querySelector('button')?.focus()
    else if (!this.#hasPanel) this.#thread?.focus()
  }

  #clearSearch() {
    this.#search.value = ''
    this.#showFound(null)
  }

  #showFound(
    /** @type {import('./person-panel.js').Person[] | null} */ people,
    /** @type {unknown} */ error = undefined,
  ) {
    const t = this.#t
    const isSearching = people !== null
    this.#found.hidden = !isSearching
    this.#list.element.hidden = isSearching
    const text = this.#search.value.trim()
    this.#found.replaceChildren(
      ...(people ?? []).map((person) => personButton(t, person, () => this.#openPerson(person.id))),
      error ? h('p', { class: 'failed' }, reasonOf(t, error)) : '',
      isSearching && !error && people.length === 0 ? h('p', { class: 'hint' }, t('desk.search.none', { text })) : '',
    )
  }

  /** Opens the chat of a customer. */
  async #openPerson(/** @type {number} */ user) {
    const before = this.#options.routes.now
    try {
      const { data } = await this.#desk.fetch(`/users/${user}/chats?limit=100`)
      const chat = data.find((/** @type {WireChat} */ { kind }) => kind === 'support') ?? data[0]
      // Who has gone on meanwhile is not taken away from there.
      if (this.#options.routes.now !== before) return
      if (!chat) return this.#toast(this.#t('desk.search.no-chat'))
      this.#clearSearch()
      this.#open(chat.id)
    } catch (error) {
      this.#failed(/** @type {any} */ (error))
    }
  }

  #openGroup() {
    openGroupDialog({ t: this.#t, desk: this.#desk, made: (chat) => this.#open(chat) })
  }

  #openHelp() {
    if (isDialogOpen()) return
    const { preferences } = this.#options
    openHelp(this.#t, this.#commands, choiceSwitch(this.#t, preferences, 'keys'))
  }

  #openSettings() {
    openSettings({ t: this.#t, preferences: this.#options.preferences, notifier: this.#notifier })
  }

  #openUser() {
    const t = this.#t
    const name = plain(this.#desk.user?.nickname ?? '')
    const dialog = openDialog(
      { t, title: t('desk.user', { name }), name: 'ask' },
      h('p', {}, t('desk.sign-out.text')),
      h(
        'button',
        {
          type: 'button',
          class: 'main',
          onclick: () => {
            dialog.close()
            this.#signOut()
          },
        },
        t('desk.command.sign-out'),
      ),
    )
  }

  #openPalette() {
    const t = this.#t
    openPalette(t, (text) => {
      const commands = this.#commands
        .filter(({ isThere }) => isThere?.() ?? true)
        .map(({ name, key, run }) => ({ label: t(`desk.command.${name}`), hint: key?.toUpperCase() ?? '', run }))
      const chats = this.#conversations.all.map((chat) => ({
        label: nameOf(t, { id: chat.id, title: chat.title, person: personOf(chat) }),
        hint: '',
        run: () => this.#open(chat.id),
      }))
      return [...commands, ...(text ? chats : [])].filter(({ label }) => label.toLocaleLowerCase().includes(text))
    })
  }
}
