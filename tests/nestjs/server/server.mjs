// The real server, in a process of its own, on a database file of its own.

import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { WebSocket } from 'ws'
import { Client } from './client.mjs'

const START_MS = 30_000

/** Whatever is not here is a default of config/default.toml. */
const settings = (prefix, routes) => ({
  RABBITMQ__URL: process.env.RABBITMQ_URL,
  RABBITMQ__PREFIX: prefix,
  RABBITMQ__EVENT_QUEUES: `${prefix}news`,
  RABBITMQ__USERS_QUEUE: 'users',
  RABBITMQ__GATEWAY: JSON.stringify(routes),
  RABBITMQ__GATEWAY_TIMEOUT_MS: '2000',
  SERVER__WORKERS: '1',
  SERVER__SHUTDOWN_TIMEOUT: '1',
  SERVER__DRAIN_WINDOW_MS: '0',
  AUTH__SECRET: 'the-secret-of-the-host-application-of-these-tests',
})

export class Server {
  static async start(prefix, routes) {
    const binary = process.env.FRONTDESK_BINARY
    if (!binary) throw new Error('FRONTDESK_BINARY is not set: run scripts/test nestjs')
    const folder = await mkdtemp(join(tmpdir(), 'frontdesk-nestjs-'))
    const port = await freePort()
    const own = { ...settings(prefix, routes), SERVER__BIND: `127.0.0.1:${port}`, DATABASE__URL: `sqlite://${folder}/server.db` }
    const environment = Object.fromEntries(Object.entries(own).map(([key, value]) => [`FRONTDESK__${key}`, value]))
    const options = { env: { ...process.env, ...environment }, cwd: folder }
    const server = new Server(binary, folder, port, options)
    await server.#isReady()
    return server
  }

  #log = ''

  constructor(binary, folder, port, options) {
    Object.assign(this, { binary, folder, port, options })
    this.child = spawn(binary, ['serve'], { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
    this.child.stderr.on('data', (chunk) => {
      this.#log = (this.#log + chunk).slice(-20_000)
      // As in the scenarios: who sets it wants to see it.
      if (process.env.RUST_LOG) process.stderr.write(chunk)
    })
    this.ended = new Promise((resolve) => this.child.once('exit', resolve))
  }

  async #isReady() {
    const until = Date.now() + START_MS
    while (Date.now() < until && this.child.exitCode === null) {
      const answer = await fetch(`http://127.0.0.1:${this.port}/readyz`).catch(() => undefined)
      if (answer?.ok && (await answer.json()).broker === 'connected') return
      await sleep(50)
    }
    const log = this.#log
    await this.stop()
    throw new Error(`the server did not become ready:\n${log}`)
  }

  async token(subject, role) {
    const { stdout } = await promisify(execFile)(
      this.binary, ['token', '--sub', subject, '--role', role, '--nickname', subject], this.options)
    return stdout.trim()
  }

  /** Connects somebody, and reads `welcome`. */
  async connect(subject, role = 'customer') {
    const token = await this.token(subject, role)
    const socket = new WebSocket(`ws://127.0.0.1:${this.port}/ws`, { headers: { authorization: `Bearer ${token}` } })
    const client = new Client(socket, token)
    client.welcome = (await client.next('welcome')).data
    return client
  }

  /** A request over HTTP; gives the answer's status and body. */
  async http(token, method, path, body) {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const answer = await fetch(`http://127.0.0.1:${this.port}${path}`, { method, headers, body: body && JSON.stringify(body) })
    return { status: answer.status, body: await answer.json() }
  }

  async stop() {
    this.child.kill()
    await this.ended
    await rm(this.folder, { recursive: true, force: true })
  }
}

async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}
