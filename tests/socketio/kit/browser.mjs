// Headless Chromium, controlled over the DevTools protocol.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { WebSocket } from 'ws'
import { within } from '../../nodejs/within.mjs'

// No sandbox: it needs rights that containers lack, and the pages are our own.
const ARGUMENTS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--no-default-browser-check',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--remote-debugging-port=0',
]

export class Browser {
  static async start() {
    const folder = await mkdtemp(join(tmpdir(), 'frontdesk-chromium-'))
    const child = spawn('chromium', [...ARGUMENTS, `--user-data-dir=${folder}`], {
      // No proxy: all hosts are this machine.
      env: { ...process.env, HOME: folder, http_proxy: '', https_proxy: '', HTTP_PROXY: '', HTTPS_PROXY: '' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    process.once('exit', () => child.kill('SIGKILL'))
    let log = ''
    const listens = new Promise((resolve, reject) => {
      createInterface(child.stderr).on('line', (line) => {
        log = `${log}${line}\n`.slice(-5_000)
        const [, url] = /^DevTools listening on (ws:.*)$/.exec(line) ?? []
        if (url) resolve(url)
      })
      child.once('error', reject)
      child.once('exit', (code) => reject(new Error(`Chromium ended with ${code}:\n${log}`)))
    })
    const socket = new WebSocket(await within(listens, () => `start of Chromium; it said\n${log}`))
    await once(socket, 'open')
    return new Browser(folder, child, socket)
  }

  #calls = new Map()
  #count = 0

  constructor(folder, child, socket) {
    Object.assign(this, { folder, child, socket })
    socket.on('message', (text) => {
      const { id, result, error } = JSON.parse(text)
      // Events have no id, and are ignored.
      const call = this.#calls.get(id)
      this.#calls.delete(id)
      if (error) call?.reject(new Error(error.message))
      else call?.resolve(result)
    })
  }

  call(method, params = {}, sessionId = undefined) {
    const id = ++this.#count
    this.socket.send(JSON.stringify({ id, method, params, sessionId }))
    const answered = new Promise((resolve, reject) => this.#calls.set(id, { resolve, reject }))
    return within(answered, () => `answer of Chromium to ${method} ${JSON.stringify(params).slice(0, 500)}`)
  }

  /** Opens a page. Returns a function that runs a function in the page and returns its result. */
  async open(url) {
    const { targetId } = await this.call('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await this.call('Target.attachToTarget', { targetId, flatten: true })
    const run = async (code, ...data) => {
      const expression = `(${code})(...${JSON.stringify(data)})`
      const params = { expression, awaitPromise: true, returnByValue: true }
      const { result, exceptionDetails: failed } = await this.call('Runtime.evaluate', params, sessionId)
      if (failed) throw new Error(`in the page: ${failed.exception?.description ?? failed.text}`)
      return result.value
    }
    const { loaderId } = await this.call('Page.navigate', { url }, sessionId)
    if (!loaderId) throw new Error(`Chromium does not open ${url}`)
    await run(async () => {
      if (document.readyState !== 'complete') await new Promise((resolve) => addEventListener('load', resolve))
    })
    return run
  }

  async stop() {
    const ended = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await ended
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** A web server, and so an origin, with an empty page that has Socket.IO's client for browsers. */
export async function serveSite() {
  const client = await readFile(join(import.meta.dirname, '../node_modules/client-4-8/dist/socket.io.min.js'))
  const server = createServer((request, response) => {
    const isScript = request.url === '/socket.io.min.js'
    response.writeHead(200, { 'content-type': isScript ? 'text/javascript' : 'text/html' })
    response.end(isScript ? client : '<!doctype html><title>A shop</title><script src="/socket.io.min.js"></script>')
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { origin: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() }
}
