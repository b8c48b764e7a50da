// A line that can be cut and frozen: it stands between a page and its sockets and requests.

/** @typedef {'whole' | 'cut' | 'frozen'} Condition */

/** The close code of a connection that broke off. */
const BROKEN = 1006

export class Line {
  /** @type {Condition} */
  #condition = 'whole'
  /** @type {Set<(broken: boolean) => void>} */
  #ends = new Set()
  /** @type {Array<() => void>} */
  #held = []

  get condition() {
    return this.#condition
  }

  /** Breaks all connections, and lets none be made until the line is whole again. */
  cut() {
    this.#condition = 'cut'
    this.breakOnce()
    this.#release()
  }

  /** Lets nothing through in either direction, without a word, as a line does in a tunnel. */
  freeze() {
    this.#condition = 'frozen'
  }

  mend() {
    // Connections that were frozen have lost what was sent meanwhile, so they are dead.
    if (this.#condition === 'frozen') this.breakOnce()
    this.#condition = 'whole'
    this.#release()
  }

  /** Breaks the connections that there are; new ones can be made. */
  breakOnce() {
    for (const end of [...this.#ends]) end(true)
  }

  #release() {
    for (const resume of this.#held.splice(0)) resume()
  }

  /** Waits while the line is frozen. Rejects where it is cut, as `fetch` does without a network. */
  async #pass() {
    while (this.#condition === 'frozen')
      await new Promise((/** @type {(nothing?: void) => void} */ resolve) => this.#held.push(resolve))
    if (this.#condition === 'cut') throw new TypeError('the line is cut')
  }

  /** Puts the line into a window: its `WebSocket` and its `fetch` go over it from now on. */
  install(/** @type {Window & typeof globalThis} */ window) {
    const { fetch } = window
    window.fetch = async (input, init) => {
      await this.#pass()
      const response = await fetch.call(window, input, init)
      await this.#pass()
      return response
    }
    window.WebSocket = this.#sockets(window.WebSocket)
  }

  /** A class of sockets that go over this line. */
  #sockets(/** @type {typeof WebSocket} */ Base) {
    const isWhole = () => this.#condition === 'whole'
    const ends = this.#ends
    return class extends Base {
      #isBroken = false

      constructor(/** @type {string | URL} */ url, /** @type {string | string[]} */ protocols = []) {
        super(url, protocols)
        // These listeners are the first, so what they stop reaches no other.
        for (const name of ['open', 'message', 'error', 'close']) {
          this.addEventListener(name, (event) => {
            const isOwn = event instanceof BrokenOff
            if (!isOwn && (this.#isBroken || !isWhole())) event.stopImmediatePropagation()
            else if (name === 'close') ends.delete(this.breakOff)
          })
        }
        ends.add(this.breakOff)
        if (!isWhole()) setTimeout(this.breakOff)
      }

      breakOff = () => {
        ends.delete(this.breakOff)
        if (this.#isBroken) return
        this.#isBroken = true
        super.close()
        this.dispatchEvent(new BrokenOff('close', { code: BROKEN, wasClean: false }))
      }

      /** @override */
      send(/** @type {any} */ data) {
        if (isWhole() && !this.#isBroken) super.send(data)
      }
    }
  }
}

class BrokenOff extends CloseEvent {}
