// The browser's tabs with this client: which of them live, and when one has gone.

import { randomId } from './ids.js'

/** A tab holds the lock of its name for as long as it lives, however it ends. */
const lockOf = (/** @type {string} */ tab) => `frontdesk-tab-${tab}`
/** Tabs whose end is waited for; more than anybody has open. */
const MOST_WATCHED = 100

export class Tabs {
  id = randomId()
  /** Missing in Node, and in pages without TLS: each tab then takes itself for the only one. */
  #locks = globalThis.navigator?.locks
  #ending = new AbortController()
  /** @type {Set<string>} */
  #watched = new Set()
  /** @type {(nothing?: void) => void} */
  #release = () => undefined

  constructor() {
    const ended = new Promise((/** @type {(nothing?: void) => void} */ resolve) => (this.#release = resolve))
    this.#locks?.request(lockOf(this.id), () => ended).catch(() => undefined)
  }

  /** Runs alone among all tabs, with the ids of those that live. */
  async alone(/** @type {(living: { has(tab: string): boolean }) => Promise<void>} */ act) {
    const locks = this.#locks
    if (!locks) return act(new Set([this.id]))
    await locks.request('frontdesk-outbox', { signal: this.#ending.signal }, async () => {
      const { held = [] } = await locks.query()
      const names = new Set(held.map(({ name }) => name))
      await act({ has: (tab) => tab === this.id || names.has(lockOf(tab)) })
    })
  }

  /** Calls back once another tab has ended. */
  watch(/** @type {string} */ tab, /** @type {() => void} */ ended) {
    if (!this.#locks || tab === this.id || this.#watched.has(tab) || this.#watched.size >= MOST_WATCHED) return
    this.#watched.add(tab)
    const over = () => {
      this.#watched.delete(tab)
      if (!this.#ending.signal.aborted) ended()
    }
    this.#locks.request(lockOf(tab), { signal: this.#ending.signal }, async () => undefined).then(over, () => undefined)
  }

  close() {
    this.#ending.abort()
    this.#release()
  }
}
