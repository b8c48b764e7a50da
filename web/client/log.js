// The part of a chat's log that a client holds: a run of messages without a gap.

/** @import { WireMessage } from './types.js' */

/** The most messages in memory. Beyond it the oldest are dropped, and can be read again; no older ones are read. */
const MOST_HELD = 12_000
/** Messages that are dropped then. */
const DROPPED = 2_000

export class Log {
  /** Messages that can be shown, by `seq`. Those of a kind that is not known are counted only. @type {WireMessage[]} */
  entries = []
  /** The first `seq` of the run. */
  first = 1
  /** The last `seq` of the run: the position of this client; null before the first entry. @type {number | null} */
  position = null

  /** Begins anew behind `seq`, with nothing in hand. */
  begin(/** @type {number} */ seq) {
    this.entries = []
    this.first = seq + 1
    this.position = seq
  }

  /** Forgets everything. */
  clear() {
    this.begin(0)
    this.position = null
  }

  /**
   * Takes what comes from the server: `new` is in the run now, `known` was there before, and before a
   * `hole` something is missing.
   *
   * @param {WireMessage} message
   * @returns {'new' | 'known' | 'hole'}
   */
  append(message) {
    if (this.position === null || message.seq > this.position + 1) return 'hole'
    if (message.seq <= this.position) return 'known'
    this.position = message.seq
    if (isShown(message)) this.entries.push(message)
    if (this.entries.length > MOST_HELD) this.keepLatest(MOST_HELD - DROPPED)
    return 'new'
  }

  /** Drops all but so many of the latest messages. They can be read again. */
  keepLatest(/** @type {number} */ count) {
    if (this.entries.length <= count) return
    this.entries.splice(0, this.entries.length - count)
    this.first = this.entries[0].seq
  }

  /**
   * Puts an older page before the run. Ignores one that does not end right before it.
   *
   * @param {WireMessage[]} page by `seq`
   * @returns {number} how many came
   */
  prepend(page) {
    const fitting = page.filter(({ seq }) => seq < this.first)
    if (fitting.length === 0 || /** @type {WireMessage} */ (fitting.at(-1)).seq !== this.first - 1) return 0
    this.entries.unshift(...fitting.filter(isShown))
    this.first = fitting[0].seq
    return fitting.length
  }

  get hasOlder() {
    return this.position !== null && this.first > 1 && this.entries.length < MOST_HELD
  }
}

function isShown(/** @type {WireMessage} */ { kind }) {
  return kind === 'text'
}
