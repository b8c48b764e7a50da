// Drafts: what is written and not sent, of one agent, by chat. They outlive the tab, however it ends.

import { forgetKept, keep, keptNames, readKept } from './kept.js'

/** @typedef {{ text: string, from: number, at: number }} Draft `from`: the chat's end when it was begun */

const DRAFTS = 'frontdesk-draft'
/** The most drafts that are kept; beyond it the oldest is dropped. */
const MOST_DRAFTS = 200

export class Drafts {
  #owner
  /** Where the browser keeps nothing. @type {Map<number, Draft>} */
  #memory = new Map()

  constructor(/** @type {number} */ owner) {
    this.#owner = owner
  }

  /** @returns {Draft | null} */
  get(/** @type {number} */ chat) {
    return this.#memory.get(chat) ?? readKept(this.#name(chat))
  }

  /** Keeps a draft; an empty one is forgotten. `from`: the chat's end when it was begun. */
  set(/** @type {number} */ chat, /** @type {string} */ text, /** @type {number} */ from) {
    this.#memory.delete(chat)
    if (!text.trim()) return forgetKept(this.#name(chat))
    const draft = { text, from, at: Date.now() }
    if (!keep(this.#name(chat), draft)) this.#memory.set(chat, draft)
    this.#drop()
  }

  /** Nothing of this agent stays. */
  clear() {
    this.#memory.clear()
    for (const name of this.#names()) forgetKept(name)
  }

  #drop() {
    const names = this.#names()
    if (names.length <= MOST_DRAFTS) return
    const [oldest] = names.sort((a, b) => (readKept(a)?.at ?? 0) - (readKept(b)?.at ?? 0))
    forgetKept(oldest)
  }

  #names() {
    return keptNames().filter((name) => name.startsWith(`${DRAFTS} ${this.#owner} `))
  }

  #name(/** @type {number} */ chat) {
    return `${DRAFTS} ${this.#owner} ${chat}`
  }
}
