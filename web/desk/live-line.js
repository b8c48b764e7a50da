// A small line that says whether the desk is live, how fast the server answers, and where the open chat stands.

import { h } from '../ui/view.js'

/** @typedef {import('../ui/i18n.js').Translate} Translate */
/** @typedef {import('../client/frontdesk.js').Frontdesk} Frontdesk */

/** Pause between two measurements, in milliseconds. */
const MEASURED_EVERY = 20_000

export class LiveLine {
  #t
  #desk
  /** @type {number | null} */
  #latency = null
  /** @type {number | null} */
  #position = null
  #words = h('span', {})
  #timer
  #end

  constructor(/** @type {Translate} */ t, /** @type {Frontdesk} */ desk) {
    this.#t = t
    this.#desk = desk
    this.element = h('p', { class: 'live-line' }, this.#words, h('a', { href: '/desk/check' }, t('desk.check.short')))
    this.#timer = setInterval(() => this.#measure(), MEASURED_EVERY)
    this.#end = desk.on('state', () => {
      this.#latency = null
      this.#measure()
      this.#show()
    })
    this.#show()
    this.#measure()
  }

  end() {
    clearInterval(this.#timer)
    this.#end()
  }

  /** The last message of the open chat; null without one. */
  set position(/** @type {number | null} */ position) {
    if (position === this.#position) return
    this.#position = position
    this.#show()
  }

  async #measure() {
    if (this.#desk.state.state !== 'online' || document.visibilityState !== 'visible') return
    const began = performance.now()
    await this.#desk.request('ping').catch(() => undefined)
    if (this.#desk.state.state !== 'online') return
    this.#latency = Math.max(1, Math.round(performance.now() - began))
    this.#show()
  }

  #show() {
    const t = this.#t
    const { state } = this.#desk.state
    const isLive = state === 'online'
    const latency = isLive && this.#latency !== null ? t('desk.line.latency', { count: this.#latency }) : ''
    const position = this.#position === null ? '' : `#${this.#position}`
    const shown = [t(isLive ? 'desk.line.live' : 'desk.line.away'), latency, position].filter(Boolean).join(' · ')
    this.element.classList.toggle('is-live', isLive)
    if (this.#words.textContent !== shown) this.#words.textContent = shown
  }
}
