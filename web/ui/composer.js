// The box for a new message. Enter sends, but never half a word of an input method.

import { icon } from './icons.js'
import { h } from './view.js'

/** @typedef {import('./i18n.js').Translate} Translate */

/** The count of characters is shown from this part of the limit on. */
const COUNTED_FROM = 0.9
/** `keyCode` of a key that an input method has taken; Safari ends the composition before it. */
const TAKEN = 229

export class Composer {
  #t
  #limit
  #send
  #needsCtrl
  #written
  #counter = h('span', { class: 'counter', hidden: true })
  #button
  #box

  /**
   * @param {{
   *   t: Translate, limit: () => number, send: (text: string) => boolean, typing: (isTyping: boolean) => void,
   *   written?: (text: string) => void, needsCtrl?: () => boolean,
   * }} options `send` returns false where the text must stay in the box; `written`: the text is another one;
   *   `needsCtrl`: Enter alone is a line
   */
  constructor({ t, limit, send, typing, written = () => undefined, needsCtrl = () => false }) {
    this.#t = t
    this.#limit = limit
    this.#send = send
    this.#needsCtrl = needsCtrl
    this.#written = written
    this.#box = h('textarea', {
      rows: 1,
      enterKeyHint: 'send',
      placeholder: t('composer.placeholder'),
      'aria-label': t('composer.label'),
      oninput: () => {
        this.#changed()
        written(this.#box.value)
        typing(this.#box.value.trim() !== '')
      },
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
    })
    this.#button = h(
      'button',
      { type: 'submit', class: 'send', 'aria-label': t('composer.send'), title: t('composer.send') },
      icon('send'),
    )
    this.element = h(
      'form',
      {
        class: 'composer',
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault()
          this.submit()
        },
      },
      this.#box,
      this.#counter,
      this.#button,
    )
    this.#changed()
  }

  get draft() {
    return this.#box.value
  }

  set draft(text) {
    this.#box.value = text
    this.#changed()
  }

  /** Puts a text back, to be changed; what is being written stays behind it. */
  restore(/** @type {string} */ text) {
    this.draft = this.draft ? `${text}\n${this.draft}` : text
    this.#written(this.draft)
    this.focus()
  }

  focus() {
    this.#box.focus()
  }

  #key(/** @type {KeyboardEvent} */ event) {
    const hasCtrl = event.ctrlKey || event.metaKey
    const isMeant = event.key === 'Enter' && !event.shiftKey && !event.altKey && hasCtrl === this.#needsCtrl()
    if (!isMeant || event.isComposing || event.keyCode === TAKEN) return
    event.preventDefault()
    this.submit()
  }

  /** Sends what is written. */
  submit() {
    const text = this.#box.value.trim()
    if (!text || this.#left() < 0 || !this.#send(text)) return
    this.draft = ''
    this.#written('')
    this.focus()
  }

  /** Characters that may still be written, as the server counts them. */
  #left() {
    return this.#limit() - [...this.#box.value.trim()].length
  }

  #changed() {
    const left = this.#left()
    const { hidden: wasHidden } = this.#counter
    const wasOver = this.#counter.classList.contains('over')
    this.#counter.hidden = left > this.#limit() * (1 - COUNTED_FROM)
    // It is said when it appears, and when the limit is passed; at each key it would drown the keys.
    this.#counter.ariaLive = wasHidden || wasOver !== left < 0 ? 'polite' : 'off'
    this.#box.ariaInvalid = String(left < 0)
    this.#counter.textContent = this.#counter.hidden
      ? ''
      : this.#t(left < 0 ? 'composer.over' : 'composer.left', { count: Math.abs(left) })
    this.#counter.classList.toggle('over', left < 0)
    this.#button.disabled = this.#box.value.trim() === '' || left < 0
    // Where the browser does not size it by its content itself.
    if (!CSS.supports('field-sizing', 'content')) {
      this.#box.style.height = 'auto'
      this.#box.style.height = `${this.#box.scrollHeight}px`
    }
  }
}
