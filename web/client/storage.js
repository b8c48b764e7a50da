// Places for messages that wait to be sent: the browser's database, or memory.

/** @import { OutboxRow, OutboxStorage } from './types.js' */

const DATABASE = 'frontdesk'
const TABLE = 'outbox'

/** Memory of this tab alone. @implements {OutboxStorage} */
export class MemoryStorage {
  /** @type {Map<string, OutboxRow>} */
  #rows = new Map()

  async all(/** @type {string} */ owner) {
    return [...this.#rows.values()].filter((row) => row.owner === owner)
  }

  async put(/** @type {OutboxRow} */ row) {
    this.#rows.set(row.clientId, row)
  }

  async delete(/** @type {string} */ clientId) {
    this.#rows.delete(clientId)
  }

  async clear(/** @type {string} */ owner) {
    for (const row of await this.all(owner)) this.#rows.delete(row.clientId)
  }

  close() {}
}

/** The browser's database. It is made with the first row, and not by reading. @implements {OutboxStorage} */
export class BrowserStorage {
  /** @type {Promise<IDBDatabase> | null} */
  #opening = null
  #isClosed = false

  async all(/** @type {string} */ owner) {
    if (!this.#opening && !(await isThere())) return []
    const rows = await this.#run('readonly', (table) => table.index('owner').getAll(owner))
    return rows.sort((/** @type {any} */ a, /** @type {any} */ b) => a.order - b.order)
  }

  async put(/** @type {OutboxRow} */ row) {
    // The order of keys is that of random ids, so each row says when it came.
    const order = /** @type {any} */ (row).order ?? nextOrder()
    await this.#run('readwrite', (table) => table.put({ ...row, order }))
  }

  async delete(/** @type {string} */ clientId) {
    await this.#run('readwrite', (table) => table.delete(clientId))
  }

  async clear(/** @type {string} */ owner) {
    if (!this.#opening && !(await isThere())) return
    for (const { clientId } of await this.all(owner)) await this.delete(clientId)
  }

  close() {
    this.#isClosed = true
    this.#opening?.then(
      (database) => database.close(),
      () => undefined,
    )
  }

  async #run(/** @type {IDBTransactionMode} */ mode, /** @type {(table: IDBObjectStore) => IDBRequest} */ act) {
    this.#opening ??= this.#open()
    this.#opening.catch(() => (this.#opening = null))
    const transaction = (await this.#opening).transaction(TABLE, mode)
    const request = act(transaction.objectStore(TABLE))
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve
      transaction.onabort = transaction.onerror = () => reject(transaction.error)
    })
    return request.result
  }

  /** @returns {Promise<IDBDatabase>} */
  async #open() {
    const request = indexedDB.open(DATABASE, 1)
    request.onupgradeneeded = () => {
      request.result.createObjectStore(TABLE, { keyPath: 'clientId' }).createIndex('owner', 'owner')
    }
    const database = await new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })
    if (this.#isClosed) database.close()
    // A newer version of this client, in another tab, must not wait for this one.
    database.onversionchange = () => {
      database.close()
      this.#opening = null
    }
    return database
  }
}

let lastOrder = 0

/** Grows with each row of this tab, and with the time over all tabs. */
function nextOrder() {
  lastOrder = Math.max(Date.now() * 1_000, lastOrder + 1)
  return lastOrder
}

/** True if the database has been made, or if that cannot be known. */
async function isThere() {
  if (!indexedDB.databases) return true
  return (await indexedDB.databases()).some(({ name }) => name === DATABASE)
}
