// A conversation: its messages, who is there, and the box for an answer.

import { Composer } from '../ui/composer.js'
import { plain } from '../ui/format.js'
import { icon } from '../ui/icons.js'
import { MessageList } from '../ui/message-list.js'
import { h, remove } from '../ui/view.js'
import { nameOf } from './chat-list.js'
import { reasonOf } from './dialogs.js'

/** @typedef {import('../ui/i18n.js').Translate} Translate */
/** @typedef {import('../client/types.js').Message} Message */
/** @typedef {import('../client/frontdesk.js').Frontdesk} Frontdesk */
/** @typedef {import('../client/frontdesk.js').Chat} Chat */
/** @typedef {import('./conversations.js').Conversations} Conversations */

/** Characters of a message until the server has named its limit. */
const ANSWER_CHARS = 8_000
/** Tries of a message that only customers came before. */
const MOST_TRIES = 3
/** Waiting is said after so long, and explained after that, in milliseconds. */
const LOADING_AFTER = 300
const SLOW_AFTER = 5_000

export class Thread {
  #t
  #id
  #chat
  #options
  #list
  #composer
  #name = h('h2', {})
  #there = h('p', { class: 'there' })
  #middle = h('p', { class: 'middle', hidden: true })
  #typing = h('p', { class: 'typing' })
  #answered = h('div', { class: 'answered', role: 'alert' })
  /** The last message in hand when the present text was begun; 0 while none is. */
  #from = 0
  /** The chat's name, once it is on the screen no more. @type {string | null} */
  #leftName = null
  #ends
  #timers

  /**
   * @param {{
   *   t: Translate, id: number, desk: Frontdesk, conversations: Conversations, drafts: import('./drafts.js').Drafts,
   *   preferences: import('./preferences.js').Preferences, announcer: import('../ui/announce.js').Announcer,
   *   back: () => void, panel: () => void, toast: (words: string) => void,
   * }} options `back`: to the list, where that is not beside it; `panel`: shows or hides who it is
   */
  constructor({ t, id, ...options }) {
    this.#t = t
    this.#id = id
    this.#options = options
    const { desk, conversations, back, panel } = options
    const chat = (this.#chat = conversations.open(id))
    this.#list = this.#newList()
    this.#composer = this.#newComposer()
    const draft = options.drafts.get(id)
    this.#from = draft?.from ?? 0
    this.#composer.draft = draft?.text ?? ''
    const button = (
      /** @type {'back' | 'person'} */ name,
      /** @type {string} */ words,
      /** @type {() => void} */ act,
    ) =>
      h(
        'button',
        { type: 'button', class: `plain ${name}`, 'aria-label': words, title: words, onclick: act },
        icon(name),
      )
    this.element = h(
      'section',
      { class: 'thread', 'aria-label': t('desk.chat') },
      h(
        'header',
        { class: 'head' },
        button('back', t('desk.back'), back),
        h('div', { class: 'who' }, this.#name, this.#there),
        button('person', t('desk.command.panel'), panel),
      ),
      h('div', { class: 'body' }, this.#list.element, this.#middle, this.#typing),
      this.#answered,
      this.#composer.element,
    )
    this.#composer.element.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || event.isComposing) return
      event.stopPropagation()
      this.focusLog()
    })
    const say = (/** @type {string} */ words) => () => {
      if (!chat.ready) Object.assign(this.#middle, { hidden: false, textContent: words })
    }
    this.#timers = [setTimeout(say(t('desk.loading')), LOADING_AFTER), setTimeout(say(t('desk.slow')), SLOW_AFTER)]
    this.#ends = [
      chat.on('change', () => this.update()),
      conversations.on('change', () => this.update()),
      // The database was restored, or the user is another one: the list opens anew.
      chat.on('reset', () => {
        this.#from = 0
        this.#renewList()
      }),
      desk.on('state', () => this.update()),
    ]
    this.update()
  }

  get id() {
    return this.#id
  }

  end() {
    for (const timer of this.#timers) clearTimeout(timer)
    for (const end of this.#ends) end()
    this.#list.end()
    this.#chat.typing(false)
    this.#leftName = this.#name.textContent
    remove(this.element)
  }

  focus() {
    this.#composer.focus()
  }

  focusLog() {
    this.#list.focus()
  }

  update() {
    const { desk, conversations } = this.#options
    const chat = this.#chat
    if (chat.ready || chat.messages.length > 0) this.#list.show(chat, { isLive: desk.state.state === 'online' })
    if (this.#list.isAtEnd) chat.trim()
    if (chat.ready) {
      const isEmpty = chat.messages.length === 0
      this.#middle.hidden = !isEmpty
      this.#middle.textContent = isEmpty ? this.#t('desk.empty') : ''
      // A text that was begun before the chat was here.
      if (this.#from === 0 && this.#held > 0) {
        this.#from = this.#held
        if (this.#composer.draft) this.#keepDraft()
      }
    }
    const known = conversations.all.find(({ id }) => id === this.#id)
    const summary = known ? conversations.summary(known) : { id: this.#id, title: null, person: null, isOnline: null }
    this.#name.replaceChildren(h('bdi', {}, nameOf(this.#t, summary)))
    this.#showThere(summary)
    this.#showTyping()
    this.#showAnswered()
  }

  #showThere(/** @type {{ isOnline: boolean | null }} */ { isOnline }) {
    const t = this.#t
    const me = this.#options.desk.user?.id
    const others = this.#chat.viewers
      .filter(({ id }) => id !== me)
      .map(({ nickname }) => plain(nickname || t('desk.somebody')))
    const views = others.length > 0 ? t('desk.views', { count: others.length, names: others.join(', ') }) : ''
    const presence = isOnline !== null ? t(isOnline ? 'desk.online' : 'desk.offline') : ''
    const shown = [presence, views].filter(Boolean).join(' · ')
    if (this.#there.textContent === shown) return
    this.#there.textContent = shown
    this.#there.classList.toggle('is-online', isOnline === true)
  }

  #showTyping() {
    const t = this.#t
    const { messages, typists, viewers } = this.#chat
    const known = this.#options.conversations.all.find(({ id }) => id === this.#id)
    const nameFor = (/** @type {number} */ id) =>
      known?.members.find((member) => member.id === id)?.nickname ??
      viewers.find((viewer) => viewer.id === id)?.nickname ??
      messages.find(({ author }) => author?.id === id)?.author?.nickname ??
      t('desk.somebody')
    const names = typists.map((id) => plain(nameFor(id)))
    const shown = names.length > 0 ? t('desk.types', { count: names.length, names: names.join(', ') }) : ''
    if (this.#typing.textContent !== shown) this.#typing.textContent = shown
  }

  /** The last message that is here: of a chat that is catching up, not yet the last there is. */
  get #held() {
    return this.#chat.messages.findLast(({ seq }) => seq !== null)?.seq ?? 0
  }

  /** Answers of other agents since this one was begun. */
  #othersSince(/** @type {number} */ from) {
    const me = this.#options.desk.user?.id
    const isAnswer = (/** @type {Message} */ { seq, author }) =>
      seq !== null && seq > from && author !== null && author.role !== 'customer' && author.id !== me
    return this.#chat.messages.filter(isAnswer)
  }

  /** Says before anything is sent that somebody else has answered. */
  #showAnswered() {
    const t = this.#t
    const others = this.#composer.draft.trim() ? this.#othersSince(this.#from) : []
    const last = others.at(-1)
    const shown = last ? String(last.seq) : ''
    if ((this.#answered.dataset.shown ?? '') === shown) return
    this.#answered.dataset.shown = shown
    for (const child of [...this.#answered.childNodes]) remove(child)
    if (!last) return
    const name = plain(last.author?.nickname || t('desk.somebody'))
    const goOn = () => {
      this.#from = this.#held
      this.#keepDraft()
      this.#showAnswered()
      this.focus()
    }
    const anyway = () => {
      goOn()
      this.#composer.submit()
    }
    this.#answered.append(
      h(
        'p',
        {},
        icon('warn'),
        h('strong', {}, t('desk.answered', { name })),
        ' ',
        h('q', { dir: 'auto' }, plain(last.message)),
      ),
      h('button', { type: 'button', onclick: anyway }, t('desk.anyway')),
      h('button', { type: 'button', onclick: goOn }, t('desk.go-on')),
    )
  }

  #newList() {
    const { desk } = this.#options
    return new MessageList({
      t: this.#t,
      me: () => desk.user?.id ?? null,
      // Customers on one side, whoever answers on the other.
      isOurs: ({ author }) => author !== null && author.role !== 'customer',
      older: () => this.#chat.older(),
      seen: (seq) => this.#chat.read(seq),
      edit: (message) => {
        this.#composer.restore(message.message)
        message.remove()
      },
      anyway: (message) => {
        message.remove()
        this.#send(message.message)
      },
    })
  }

  #renewList() {
    const former = this.#list
    this.#list = this.#newList()
    former.element.replaceWith(this.#list.element)
    former.end()
  }

  #newComposer() {
    const { desk, preferences } = this.#options
    return new Composer({
      t: this.#t,
      limit: () => desk.limits?.messageChars ?? ANSWER_CHARS,
      typing: (isTyping) => this.#chat.typing(isTyping),
      needsCtrl: () => preferences.all.ctrlEnter,
      written: (text) => {
        // A new text answers what is there now.
        if (!this.#options.drafts.get(this.#id)) this.#from = this.#held
        this.#keepDraft(text)
        this.#showAnswered()
      },
      send: (text) => {
        // What another agent has said meanwhile is shown above the box, and its buttons say how to go on.
        if (this.#othersSince(this.#from).length > 0) return false
        return this.#send(text)
      },
    })
  }

  #keepDraft(text = this.#composer.draft) {
    this.#options.drafts.set(this.#id, text, this.#from)
  }

  /** Sends, if nobody else answers in the same moment. Returns false for a text that stays in the box. */
  #send(/** @type {string} */ text, tries = 1) {
    const { announcer } = this.#options
    const chat = this.#chat
    // Of a chat that is not here yet, the end when the text was begun is what its author has seen.
    const from = chat.ready ? this.#held : this.#from
    // Own messages that wait come before it.
    const waiting = chat.messages.filter(({ state }) => state === 'pending').length
    try {
      const sent = chat.send(text, chat.ready || from > 0 ? { expectSeq: from + waiting } : {})
      sent.stored.then(
        () => announcer.say(this.#t('list.sent'), { isAct: true }),
        (error) => this.#refused(sent, { error, from, tries }),
      )
      return true
    } catch (error) {
      announcer.alert(reasonOf(this.#t, error))
      return false
    }
  }

  /** A message that only the customer's came before is sent again; else its author decides. */
  #refused(
    /** @type {Message} */ sent,
    /** @type {{ error: { code: string }, from: number, tries: number }} */ { error, from, tries },
  ) {
    const { announcer, toast } = this.#options
    const isCaughtUp = this.#held > from
    if (error.code === 'chat_moved' && isCaughtUp && this.#othersSince(from).length === 0 && tries < MOST_TRIES) {
      this.#chat.messages.find(({ clientId }) => clientId === sent.clientId)?.remove()
      return this.#send(sent.message, tries + 1)
    }
    const words = this.#t('list.failed', { reason: reasonOf(this.#t, error) })
    announcer.alert(words)
    // Its row is in a chat that is not on the screen any more.
    if (this.#leftName !== null) toast(`${this.#leftName}: ${words}`)
  }
}
