// A TCP proxy whose connections can be held and cut.

import { connect, createServer } from 'node:net'
import { within } from './within.mjs'

const SWITCHING = Buffer.from('HTTP/1.1 101')

export class Proxy {
  static async to(port) {
    const proxy = new Proxy(port)
    proxy.listener = createServer((client) => proxy.#accept(client))
    await new Promise((resolve) => proxy.listener.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  #pairs = new Set()
  #upgrades = Promise.resolve()
  #held
  #isOfSockets = false
  #isFrozen = false
  #heard = () => undefined

  constructor(port) {
    this.port = port
    this.isShut = false
    this.isShutToSockets = false
  }

  get url() {
    return `http://127.0.0.1:${this.listener.address().port}`
  }

  #accept(client) {
    client.on('error', () => undefined)
    if (this.isShut) return client.destroy()
    client.once('data', async (head) => {
      client.pause()
      const isUpgrade = /^upgrade: *websocket/im.test(head.toString('latin1'))
      if (isUpgrade && this.isShutToSockets) return client.destroy()
      if (isUpgrade) await this.#upgrades
      this.#join(client, head, isUpgrade)
    })
  }

  #join(client, head, isUpgrade) {
    const server = connect(this.port, '127.0.0.1')
    const pair = { client, server }
    this.#pairs.add(pair)
    // `close` follows.
    server.on('error', () => undefined)
    const isHeld = () => this.#held && (isUpgrade || !this.#isOfSockets)
    const say = (part) => (isHeld() ? this.#hold(part) : part())
    server.on('data', (chunk) => {
      const isAnswer = chunk.subarray(0, 12).equals(SWITCHING)
      const part = Object.assign(() => client.write(chunk), { chunk })
      if (isAnswer) part()
      else say(part)
    })
    server.on('end', () => say(() => client.end()))
    server.on('close', () => say(() => client.destroy()))
    client.on('close', () => {
      this.#pairs.delete(pair)
      server.destroy()
    })
    server.write(head)
    client.pipe(server)
    if (this.#isFrozen) client.unpipe(server)
  }

  /** Holds the bytes of both sides, without a word. */
  freeze() {
    this.#isFrozen = true
    this.hold()
    for (const { client, server } of this.#pairs) client.unpipe(server)
  }

  #hold(part) {
    this.#held.push(part)
    this.#heard()
  }

  /** Holds requests for an upgrade. Returns the function that lets them go. */
  holdUpgrades() {
    let release
    this.#upgrades = new Promise((resolve) => (release = resolve))
    return release
  }

  /** Holds the server's bytes from now on; or those in WebSockets alone, behind the handshake. */
  hold({ isOfSockets = false } = {}) {
    this.#held = []
    this.#isOfSockets = isOfSockets
  }

  /** Waits until the held bytes contain a text. */
  said(text) {
    const isSaid = () => Buffer.concat(this.#held.flatMap(({ chunk = [] }) => chunk)).includes(text)
    const said = new Promise((resolve) => {
      this.#heard = () => isSaid() && resolve()
      this.#heard()
    })
    return within(said, () => `${text} from the server`)
  }

  /** Delivers the held bytes. */
  release() {
    const parts = this.#held
    this.#held = undefined
    for (const part of parts ?? []) part()
    this.#isFrozen = false
    for (const { client, server } of this.#pairs) client.pipe(server)
  }

  /** Breaks every connection, and drops the held bytes. */
  cut() {
    this.#held = undefined
    this.#isFrozen = false
    for (const { client, server } of this.#pairs) {
      client.destroy()
      server.destroy()
    }
  }

  /** Breaks every connection, and those to come while it is shut. */
  shut() {
    this.isShut = true
    this.cut()
  }

  stop() {
    this.listener.close()
    this.cut()
  }
}
