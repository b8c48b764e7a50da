// Texts and times as they are shown.

/** Links that are made: pages and addresses for mail, nothing that a browser would run. */
const LINK = /\bhttps?:\/\/[^\s<>"'“”‘’]+|\bmailto:[^\s<>"'“”‘’]+@[^\s<>"'“”‘’]+/giu
/** Punctuation at the end of an address is the sentence's. */
const TRAILING = '.,;:!?…、。，；：！？)]}'
/** Characters that turn the direction of what follows, and so can show a text as another. */
const DIRECTION = /[\u202a-\u202e\u2066-\u2069]/g
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** @typedef {{ text: string, href?: string }} Part */

/** A text of somebody else's: it turns nothing but itself. */
export function plain(/** @type {string} */ text) {
  return text.replace(DIRECTION, '')
}

/** Splits a text at its links. @returns {Part[]} */
export function partsOf(/** @type {string} */ message) {
  const text = plain(message)
  /** @type {Part[]} */
  const parts = []
  let at = 0
  for (const match of text.matchAll(LINK)) {
    const address = trimmed(match[0])
    if (!URL.canParse(address)) continue
    if (match.index > at) parts.push({ text: text.slice(at, match.index) })
    parts.push({ text: address, href: new URL(address).href })
    at = match.index + address.length
  }
  if (at < text.length) parts.push({ text: text.slice(at) })
  return parts
}

/** Without punctuation at the end, unless it closes what the address opened. */
function trimmed(/** @type {string} */ address) {
  let { length } = address
  // Not a regular expression: one that looks for an end tries it at each character of a long tail.
  while (TRAILING.includes(address[length - 1])) length -= 1
  const head = address.slice(0, length)
  const isOpen = head.split('(').length > head.split(')').length
  return isOpen && address[length] === ')' ? `${head})` : head
}

/**
 * Makes a value at its first use, or before that when the browser has nothing else to do: what formats costs
 * milliseconds to make, which a page that opens has better uses for.
 *
 * @template T
 * @param {() => T} make
 * @returns {() => T}
 */
export function lazy(make) {
  /** @type {T | undefined} */
  let made
  const get = () => (made ??= make())
  globalThis.requestIdleCallback?.(get)
  return get
}

/** Times of one locale, in the reader's zone. */
export class Times {
  #clock
  #full
  #day
  #old
  #relative

  constructor(/** @type {string} */ locale) {
    const format = (/** @type {Intl.DateTimeFormatOptions} */ options) =>
      lazy(() => new Intl.DateTimeFormat(locale, options))
    this.#clock = format({ hour: 'numeric', minute: '2-digit' })
    this.#full = format({ dateStyle: 'full', timeStyle: 'medium' })
    this.#day = format({ weekday: 'long', day: 'numeric', month: 'long' })
    this.#old = format({ dateStyle: 'long' })
    this.#relative = lazy(() => new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }))
  }

  clock(/** @type {number} */ at) {
    return this.#clock().format(at)
  }

  full(/** @type {number} */ at) {
    return this.#full().format(at)
  }

  /** The name of a day: today, yesterday, a weekday with its date, and with its year in another one. */
  day(/** @type {number} */ at, now = Date.now()) {
    const days = Math.round((midnight(at) - midnight(now)) / DAY)
    if (days > -2) return this.#relative().format(days, 'day')
    return (new Date(at).getFullYear() === new Date(now).getFullYear() ? this.#day : this.#old)().format(at)
  }

  /** How long ago, under an hour; else the time of the day, or the day. */
  ago(/** @type {number} */ at, now = Date.now()) {
    const past = now - at
    if (past < MINUTE) return this.#relative().format(0, 'second')
    if (past < HOUR) return this.#relative().format(-Math.floor(past / MINUTE), 'minute')
    return midnight(at) === midnight(now) ? this.clock(at) : this.day(at, now)
  }
}

/** The start of a day, where the reader is. */
export function midnight(/** @type {number} */ at) {
  return new Date(at).setHours(0, 0, 0, 0)
}

/** Up to two letters of a name. */
export function initials(/** @type {string} */ name) {
  const words = name.trim().split(/\s+/u).filter(Boolean)
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words
  return letters.map((word) => [...word][0].toLocaleUpperCase()).join('') || '?'
}
