// What an agent has chosen in this browser. All tabs share it.

import { Emitter } from '../client/frontdesk.js'
import { keep, readKept } from './kept.js'

/**
 * @typedef {{
 *   theme: 'system' | 'light' | 'dark', language: string, keys: boolean, sound: boolean, notices: boolean,
 *   ctrlEnter: boolean,
 * }} Choices `language`: empty for the browser's own; `keys`: single keys are commands; `ctrlEnter`: Enter alone is a
 *   line
 */

const CHOICES = 'frontdesk-choices'
/** @type {Choices} */
const UNCHOSEN = { theme: 'system', language: '', keys: true, sound: true, notices: false, ctrlEnter: false }

/** @extends {Emitter<{ change: Choices }>} */
export class Preferences extends Emitter {
  /** @type {Choices} */
  all = { ...UNCHOSEN, ...readKept(CHOICES) }

  constructor() {
    super()
    addEventListener('storage', ({ key }) => key === CHOICES && this.#take({ ...UNCHOSEN, ...readKept(CHOICES) }))
  }

  /** Chooses some of them anew. */
  choose(/** @type {Partial<Choices>} */ some) {
    const all = { ...this.all, ...some }
    keep(CHOICES, all)
    this.#take(all)
  }

  #take(/** @type {Choices} */ all) {
    this.all = all
    this.emit('change', all)
  }
}
