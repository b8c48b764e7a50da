// Sentences for screen readers: what has changed, said once.

import { h } from './view.js'

export class Announcer {
  #polite = h('p', { class: 'unseen', role: 'status' })
  #urgent = h('p', { class: 'unseen', role: 'alert' })
  #last = ''

  get elements() {
    return [this.#polite, this.#urgent]
  }

  /** When the reader pauses. A state that is the same as before is said once; an act, each time. */
  say(/** @type {string} */ sentence, { isAct = false } = {}) {
    if (sentence === this.#last && !isAct) return
    // A text that does not change is not said again.
    const isSame = this.#polite.textContent === sentence
    this.#last = sentence
    this.#polite.textContent = isSame ? `${sentence}\u00a0` : sentence
  }

  /** At once: for a message that was not sent. */
  alert(/** @type {string} */ sentence) {
    this.#urgent.textContent = this.#urgent.textContent === sentence ? `${sentence}\u00a0` : sentence
  }
}
