// The real server, in a process of its own, on a database of its own.

import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { within } from './within.mjs'

const SECRET = 'the-secret-of-the-host-application-of-these-tests'

/** All other settings have their defaults. */
const SETTINGS = {
  // Several, so that an upgrade may change the thread.
  SERVER__WORKERS: '3',
  SERVER__SHUTDOWN_TIMEOUT: '1',
  SERVER__DRAIN_WINDOW_MS: '0',
  AUTH__SECRET: SECRET,
  // The tests' PostgreSQL need not survive its machine.
  DATABASE__WEAK_DURABILITY: 'true',
  // Tests send faster than people.
  LIMITS__MESSAGES_PER_SECOND: '100000',
  LIMITS__BURST: '100000',
}

export class Server {
  /** Starts a server with these settings, and those of the file `config`, in this environment besides. */
  static async start(settings = {}, config = undefined, environment = {}) {
    if (!process.env.FRONTDESK_BINARY) throw new Error('FRONTDESK_BINARY is not set: run scripts/test')
    const folder = await mkdtemp(join(tmpdir(), 'frontdesk-server-'))
    const database = { DATABASE__URL: `sqlite://${folder}/server.db`, SERVER__BIND: '127.0.0.1:0' }
    const server = new Server(folder, { ...SETTINGS, ...database, ...settings }, config, environment)
    await server.run()
    return server
  }

  #log = ''

  constructor(folder, settings, config, environment) {
    Object.assign(this, { folder, settings, config, environment })
  }

  /** Starts the process, the second time with the same database and port. */
  async run() {
    const own = Object.entries(this.settings).map(([key, value]) => [`FRONTDESK__${key}`, value])
    const options = { env: { ...process.env, ...Object.fromEntries(own), ...this.environment }, cwd: this.folder }
    const config = this.config ? ['--config', this.config] : []
    const child = spawn(process.env.FRONTDESK_BINARY, [...config, 'serve'], { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    this.child = child
    // Also if the tests end early.
    process.once('exit', () => child.kill('SIGKILL'))
    // Its address, if the server has a demo; printed once it listens.
    this.demo = new Promise((resolve) => {
      createInterface(child.stdout).on('line', (line) => line.includes('/demo#') && resolve(line.trim()))
    })
    this.ended = new Promise((resolve) => child.once('exit', resolve))
    const listens = new Promise((resolve, reject) => {
      createInterface(child.stderr).on('line', (line) => {
        this.#log = `${this.#log}${line}\n`.slice(-20_000)
        // As in the scenarios: RUST_LOG shows the log.
        if (process.env.RUST_LOG) console.error(line)
        const [, port] = /listening on https?:\/\/[^:]+:(\d+)/.exec(line) ?? []
        if (port) resolve(Number(port))
      })
      child.once('exit', (code) => reject(new Error(`the server ended with ${code}:\n${this.#log}`)))
    })
    this.port = await within(listens, () => `start of the server; its log is\n${this.#log}`)
    this.settings.SERVER__BIND = `127.0.0.1:${this.port}`
  }

  /** The node's name. */
  get node() {
    return this.settings.CLUSTER__NODE_NAME
  }

  get url() {
    return `http://127.0.0.1:${this.port}`
  }

  /** Sends a signal, and waits for the end of the process. */
  async end(signal) {
    this.child.kill(signal)
    await within(this.ended, () => `end of the server by ${signal}; its log is\n${this.#log}`)
  }

  async stop() {
    await this.end('SIGKILL')
    await rm(this.folder, { recursive: true, force: true })
  }

  /** A token as the host application signs it. */
  token(subject, { role = 'customer', seconds = 3600, nickname = subject } = {}) {
    const now = Math.floor(Date.now() / 1000)
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const claims = { sub: subject, role, nickname, iat: now, exp: now + seconds }
    const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
    return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`
  }

  admin(subject = 'ada') {
    return this.token(subject, { role: 'admin' })
  }

  /** A request over HTTP. Returns the answer's status and body. */
  async http(token, method, path, body) {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const answer = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) })
    const text = await answer.text()
    return { status: answer.status, body: text && JSON.parse(text) }
  }

  /** The value of a metric, 0 if it is missing. */
  async metric(name) {
    const text = await (await fetch(`${this.url}/metrics`)).text()
    const line = text.split('\n').find((line) => line.startsWith(`frontdesk_${name} `))
    return line ? Number(line.split(' ')[1]) : 0
  }
}
