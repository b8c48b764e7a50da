// The outbox: messages that are not stored yet. None is lost, and none is stored twice.

import { pause } from './backoff.js'
import { FrontdeskError } from './errors.js'
import { BrowserStorage, MemoryStorage } from './storage.js'
import { Tabs } from './tabs.js'

/** @import { OutboxRow, OutboxStorage, Receipt } from './types.js' */
/** @typedef {OutboxRow & { tab: string }} Row */

/** The most messages that wait, of one user in one tab. */
const MOST_ROWS = 1_000
/** Age at which a message is no longer sent by itself, in milliseconds: 7 days. */
const MOST_AGE = 7 * 86_400_000
const EXPIRED = new FrontdeskError('expired', 'it waited for more than 7 days')

export class Outbox {
  /** This tab's messages, in the order in which they were written. @type {Row[]} */
  rows = []
  /** `device`: they outlive this tab. @type {'device' | 'tab'} */
  kept
  /** The user whose messages these are; null while that is not known. @type {string | null} */
  #owner = null
  #storage
  #tabs = new Tabs()
  #channel
  #changed
  #failed
  #send
  /** One write after the other. @type {Promise<unknown>} */
  #writes = Promise.resolve()
  /** Chats of which a message is on its way. @type {Set<number | 'support'>} */
  #busy = new Set()
  #isOnline = false
  /** @type {Map<number | 'support', ReturnType<typeof setTimeout>>} */
  #pauses = new Map()
  /** Refusals that pass, one after the other. @type {Map<number | 'support', number>} */
  #tries = new Map()

  /**
   * @param {{
   *   storage: 'indexeddb' | 'memory' | OutboxStorage,
   *   send: (row: OutboxRow) => Promise<Receipt>,
   *   stored: (row: OutboxRow, receipt: Receipt) => void,
   *   failed: (row: OutboxRow) => void,
   *   changed: () => void,
   * }} options
   */
  constructor({ storage, send, stored, failed, changed }) {
    const isBrowsers = storage === 'indexeddb' && globalThis.indexedDB !== undefined
    this.#storage = typeof storage === 'object' ? storage : isBrowsers ? new BrowserStorage() : new MemoryStorage()
    this.kept = isBrowsers || typeof storage === 'object' ? 'device' : 'tab'
    this.#send = async (/** @type {Row} */ row) => stored(row, await send(row))
    this.#failed = failed
    this.#changed = changed
    if (isBrowsers && globalThis.BroadcastChannel) {
      this.#channel = new BroadcastChannel('frontdesk-outbox')
      this.#channel.onmessage = ({ data }) => this.#heard(data)
    }
  }

  /** Another tab of the same user has written something, or has forgotten everything. */
  #heard(/** @type {{ owner: string, tab: string, forgets?: boolean }} */ { owner, tab, forgets }) {
    if (owner !== this.#owner) return
    if (!forgets) return this.#tabs.watch(tab, () => this.#adopt())
    this.rows = []
    this.#changed()
  }

  /**
   * A message of the present user; of the next one who is signed in, where that is not known.
   *
   * @param {{ clientId: string, chat: number | 'support', message: string, expectSeq?: number }} message
   */
  add(message) {
    if (this.rows.length >= MOST_ROWS) {
      throw new FrontdeskError('outbox_full', `${MOST_ROWS} messages wait to be sent`)
    }
    const row = { ...message, owner: this.#owner ?? '', tab: this.#tabs.id, queuedAt: Date.now() }
    this.rows.push(row)
    if (this.#owner !== null) this.#keep(row)
    this.#drain()
  }

  /** Sends a message again that was refused. */
  retry(/** @type {string} */ clientId) {
    const row = this.rows.find((row) => row.clientId === clientId)
    if (!row) return
    delete row.error
    row.queuedAt = Date.now()
    this.#keep(row)
    this.#changed()
    this.#drain()
  }

  remove(/** @type {string} */ clientId) {
    this.rows = this.rows.filter((row) => row.clientId !== clientId)
    this.#write((storage) => storage.delete(clientId))
    this.#changed()
  }

  /** The user is known: their messages of earlier tabs go out too. Nothing of another user before stays. */
  async become(/** @type {string} */ owner) {
    if (this.#owner === owner) return
    if (this.#owner !== null) this.forget()
    this.#owner = owner
    for (const row of this.rows) this.#keep(Object.assign(row, { owner }))
    await this.#adopt()
  }

  /** Takes over the messages of tabs that are gone. */
  async #adopt() {
    const owner = this.#owner
    if (owner === null) return
    await this.#tabs
      .alone(async (living) => {
        await this.#writes
        const rows = /** @type {Row[]} */ (await this.#storage.all(owner))
        if (this.#owner !== owner) return
        for (const row of rows) {
          if (this.rows.some(({ clientId }) => clientId === row.clientId)) continue
          if (row.tab !== this.#tabs.id && living.has(row.tab)) this.#tabs.watch(row.tab, () => this.#adopt())
          else if (this.rows.length < MOST_ROWS) this.#own(row)
        }
        await this.#writes
      })
      .catch(() => this.#becomeMemory())
    this.#changed()
    this.#drain()
  }

  #own(/** @type {Row} */ row) {
    row.tab = this.#tabs.id
    this.rows.push(row)
    this.#keep(row)
  }

  online(/** @type {boolean} */ isOnline) {
    this.#isOnline = isOnline
    for (const timer of this.#pauses.values()) clearTimeout(timer)
    this.#pauses.clear()
    this.#drain()
  }

  /** Forgets all messages of the present user, in all tabs. */
  async forget() {
    const owner = this.#owner
    this.rows = []
    if (owner !== null) this.#write((storage) => storage.clear(owner))
    this.#channel?.postMessage({ owner, tab: this.#tabs.id, forgets: true })
    this.#changed()
    await this.#writes
  }

  async close() {
    this.#isOnline = false
    for (const timer of this.#pauses.values()) clearTimeout(timer)
    this.#channel?.close()
    this.#channel = undefined
    await this.#writes
    this.#tabs.close()
    this.#storage.close()
  }

  /** Sends the first message of each chat; the next one follows its answer, so none overtakes another. */
  #drain() {
    if (!this.#isOnline || this.#owner === null) return
    const oldest = Date.now() - MOST_AGE
    for (const row of this.rows) if (!row.error && row.queuedAt < oldest) this.#refuse(row, EXPIRED)
    for (const { chat } of this.rows) {
      if (!this.#busy.has(chat) && !this.#pauses.has(chat)) this.#sendNext(chat)
    }
  }

  async #sendNext(/** @type {number | 'support'} */ chat) {
    const row = this.rows.find((row) => row.chat === chat && !row.error)
    if (!row) return
    this.#busy.add(chat)
    try {
      await this.#send(row)
      this.#tries.delete(chat)
      this.remove(row.clientId)
    } catch (cause) {
      const error = cause instanceof FrontdeskError ? cause : new FrontdeskError('internal', String(cause))
      if (!error.retry) this.#refuseAll(row, error)
      // A broken line: the next connection drains.
      else if (error.code !== 'disconnected') this.#pause(chat, error.retryAfterMs)
      else this.#isOnline = false
    }
    this.#busy.delete(chat)
    this.#drain()
  }

  #pause(/** @type {number | 'support'} */ chat, /** @type {number | undefined} */ retryAfterMs) {
    const tries = this.#tries.get(chat) ?? 0
    this.#tries.set(chat, tries + 1)
    const over = () => {
      this.#pauses.delete(chat)
      this.#drain()
    }
    this.#pauses.set(chat, setTimeout(over, retryAfterMs ?? pause(tries, Math.random)))
  }

  /** What was to be sent behind a message that others came before, and only then, comes no more directly behind it. */
  #refuseAll(/** @type {Row} */ row, /** @type {FrontdeskError} */ error) {
    const isBehind = (/** @type {Row} */ other) =>
      other !== row && other.chat === row.chat && !other.error && other.expectSeq !== undefined
    const behind = error.code === 'chat_moved' ? this.rows.filter(isBehind) : []
    for (const one of [row, ...behind]) this.#refuse(one, error)
  }

  /** Leaves it to its author: what follows it in the chat goes on. */
  #refuse(/** @type {Row} */ row, /** @type {FrontdeskError} */ { code, message }) {
    row.error = { code, message }
    if (this.rows.includes(row)) this.#keep(row)
    this.#failed(row)
    this.#changed()
  }

  #keep(/** @type {Row} */ row) {
    this.#write((storage) => storage.put({ ...row }))
    this.#channel?.postMessage({ owner: row.owner, tab: row.tab })
  }

  #write(/** @type {(storage: OutboxStorage) => Promise<void>} */ act) {
    this.#writes = this.#writes.then(() => act(this.#storage)).catch(() => this.#becomeMemory())
  }

  /** The browser keeps nothing: the messages live as long as this tab, and the user is told. */
  async #becomeMemory() {
    if (this.kept === 'tab') return
    this.kept = 'tab'
    this.#storage.close()
    this.#storage = new MemoryStorage()
    for (const row of this.rows) await this.#storage.put({ ...row })
    this.#changed()
  }
}
