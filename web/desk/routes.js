// Addresses of the desk: what is on the screen can be linked, and the browser's own Back works.

import { Emitter } from '../client/frontdesk.js'

/** @typedef {{ chat?: number, corner?: string }} Route neither: the list alone */

/** @extends {Emitter<{ change: Route }>} */
export class Routes extends Emitter {
  /** @type {Route} */
  now
  #base

  /** @param {string | null} base the path of the desk; null in a frame, whose address stays */
  constructor(base) {
    super()
    this.#base = base
    this.now = this.#read()
    if (base === null) return
    addEventListener('popstate', () => this.#become(this.#read()))
  }

  /** Goes there. `isInstead`: the present address is not one to come back to. */
  go(/** @type {Route} */ route, { isInstead = false } = {}) {
    const address = this.address(route)
    const to = address + location.search
    if (this.#base !== null && isInstead) history.replaceState(null, '', to)
    else if (this.#base !== null && address !== location.pathname) history.pushState(null, '', to)
    this.#become(route)
  }

  address(/** @type {Route} */ { chat, corner }) {
    const base = this.#base ?? '/desk'
    if (chat !== undefined) return `${base}/chats/${chat}`
    return corner ? `${base}/${corner}` : base
  }

  #become(/** @type {Route} */ route) {
    this.now = route
    this.emit('change', route)
  }

  /** @returns {Route} */
  #read() {
    if (this.#base === null) return {}
    const [first, second] = location.pathname.slice(this.#base.length + 1).split('/')
    if (first === 'chats') return /^\d{1,15}$/.test(second ?? '') ? { chat: Number(second) } : {}
    return first ? { corner: first } : {}
  }
}
