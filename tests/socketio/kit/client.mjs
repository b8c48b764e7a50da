// Socket.IO's own clients, unmodified, with a record of their events.

import { within } from '../../nodejs/within.mjs'

export const VERSIONS = ['3.1', '4.0', '4.5', '4.8']

/** The transports, as options of a client. The last is the clients' default: polling, then the upgrade. */
export const WAYS = { polling: { transports: ['polling'] }, websocket: { transports: ['websocket'] }, upgrade: {} }

const libraries = new Map()
for (const version of VERSIONS) libraries.set(version, await import(`client-${version.replace('.', '-')}`))

/** Each version over each transport. */
export const ALL = VERSIONS.flatMap((version) => Object.keys(WAYS).map((way) => ({ version, way })))

const OWN = ['connect', 'disconnect', 'connect_error']

export class Client {
  /** Opens a connection of its own. */
  static open(version, way, url, options = {}) {
    const { io } = libraries.get(version)
    const all = { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200, ...WAYS[way], ...options }
    return new Client(io(url, all), version, way)
  }

  /** Opens a connection, and waits for `welcome` and for the upgrade, if there is to be one. */
  static async connect(version, way, url, options) {
    const client = Client.open(version, way, url, options)
    await client.isIn()
    if (way === 'upgrade') await client.upgraded
    return client
  }

  #news = []
  #waiting = []

  constructor(socket, version, way) {
    Object.assign(this, { socket, version, way })
    for (const event of OWN) socket.on(event, (data, ...more) => this.#take({ event, data, more }))
    socket.onAny((event, ...data) => this.#take({ event, data: data[0], more: data.slice(1) }))
    if (way !== 'upgrade') return
    this.upgraded = within(new Promise((resolve) => this.engine.once('upgrade', resolve)), () => 'upgrade')
    // Its failure concerns only those that wait for it.
    this.upgraded.catch(() => undefined)
  }

  get engine() {
    return this.socket.io.engine
  }

  /** A further namespace of the same connection. */
  namespace(name, options) {
    return new Client(this.socket.io.socket(name, options))
  }

  #take(news) {
    const at = this.#waiting.findIndex(({ wanted }) => wanted(news))
    if (at < 0) this.#news.push(news)
    else this.#waiting.splice(at, 1)[0].resolve(news)
  }

  /** The first wanted event that was not yet taken; waits for it. */
  find(wanted, what) {
    const at = this.#news.findIndex(wanted)
    if (at >= 0) return Promise.resolve(this.#news.splice(at, 1)[0])
    const seen = () => JSON.stringify(this.#news.map(({ event, data }) => [event, data?.message ?? data])).slice(0, 2000)
    return within(new Promise((resolve) => this.#waiting.push({ wanted, resolve })), () => `${what}; there is ${seen()}`)
  }

  /** The data of the next event of that name. */
  async next(event) {
    return (await this.find((news) => news.event === event, event)).data
  }

  /** True if such an event has come and was not yet taken. */
  has(event) {
    return this.#news.some((news) => news.event === event)
  }

  /** Waits for `connect` and `welcome`. Returns the latter. */
  async isIn() {
    await this.next('connect')
    this.welcome = await this.next('welcome')
    return this.welcome
  }

  /** The reasons of the disconnection and of the `goodbye` before it. */
  async farewell() {
    const disconnect = await this.next('disconnect')
    if (!this.has('goodbye')) throw new Error(`no goodbye before the disconnection: ${disconnect}`)
    return { goodbye: (await this.next('goodbye')).reason, disconnect }
  }

  /** The customer's own chat. */
  get chat() {
    return this.welcome.chats[0].id
  }

  /** Sends an event. Returns the data of its ack. */
  request(event, ...data) {
    const acked = new Promise((resolve) => this.socket.emit(event, ...data, (...answer) => resolve(answer)))
    return within(acked.then(([answer]) => answer), () => `ack of ${event}`)
  }

  /** Sends an event that must not be refused. Returns the data of its ack. */
  async acked(event, ...data) {
    const answer = await this.request(event, ...data)
    if (answer?.status === 'error') throw new Error(`${event}: ${JSON.stringify(answer)}`)
    return answer
  }

  /** Waits until the client may send again: over polling, until its request has been answered. */
  async drained() {
    if (!this.engine.writeBuffer.length) return
    await within(new Promise((resolve) => this.engine.once('drain', resolve)), () => 'drain')
  }

  close() {
    this.socket.disconnect()
  }
}

/** Runs a function for several clients at once. Its error names those for which it failed. */
export async function each(clients, test) {
  const results = await Promise.allSettled(clients.map((client, at) => test(client, at)))
  const failed = results.flatMap(({ reason, status }, at) => (status === 'rejected' ? [`${name(clients[at])}: ${reason.stack}`] : []))
  if (failed.length) throw new Error(failed.join('\n'))
  return results.map(({ value }) => value)
}

const name = ({ version, way, ending }) => [version, way, ending].filter(Boolean).join(', ')
