// nginx in front, with the sample of deploy/proxies: TLS, the upgrade, and real addresses.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, test } from 'node:test'
import { WebSocket } from 'ws'
import { Server } from '../nodejs/server.mjs'
import { within } from '../nodejs/within.mjs'

const KEYS = process.env.KEYS
const ca = readFileSync(join(KEYS, 'tls-1.crt.pem'))

let server, folder, port, nginx

async function freePort() {
  const listener = createServer()
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address()
  await new Promise((resolve) => listener.close(resolve))
  return port
}

/** The sample, with this test's ports, names and files. */
async function configuration() {
  let text = await readFile(process.env.SAMPLE, 'utf8')
  const replace = (from, to) => {
    assert.ok(text.includes(from), from)
    text = text.replaceAll(from, to)
  }
  replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
  replace('server 127.0.0.1:3000', `server 127.0.0.1:${server.port}`)
  replace('chat.example.org', 'localhost')
  replace('/etc/nginx/tls/chat.crt', join(KEYS, 'tls-1.crt.pem'))
  replace('/etc/nginx/tls/chat.key', join(KEYS, 'tls-1.key.pem'))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${name};`)
  return `${process.getuid() === 0 ? 'user root;' : ''}
daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
events { worker_connections 1024; }
http { access_log off; ${temporary.join(' ')}
${text}
}`
}

before(async () => {
  server = await Server.start({ SERVER__TRUSTED_PROXIES: '127.0.0.1', LIMITS__LOGINS_PER_ADDRESS: '2' })
  folder = await mkdtemp(join(tmpdir(), 'frontdesk-nginx-'))
  port = await freePort()
  await mkdir(join(folder, 'logs'))
  await writeFile(join(folder, 'nginx.conf'), await configuration())
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }
  const options = { env, stdio: ['ignore', 'ignore', 'pipe'] }
  nginx = spawn('nginx', ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'], options)
  let log = ''
  nginx.stderr.on('data', (data) => (log += data))
  process.once('exit', () => nginx.kill())
  const answers = async () => {
    while (!(await ask('GET', '/healthz').catch(() => undefined))) await sleep(20)
  }
  await within(answers(), () => `start of nginx; it said\n${log}`)
})

after(async () => {
  nginx.kill('SIGTERM')
  await new Promise((resolve) => nginx.once('exit', resolve))
  await server.stop()
  await rm(folder, { recursive: true, force: true })
})

function ask(method, path, { body, headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const options = { host: 'localhost', port, method, path, ca, headers, family: 4, localAddress: headers.from }
    delete headers.from
    const asked = request(options, (answer) => {
      let text = ''
      answer.on('data', (data) => (text += data))
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }))
    })
    asked.once('error', reject)
    asked.end(body && JSON.stringify(body))
  })
}

test('a WebSocket is opened through it, and a page of its host is let in', async () => {
  const headers = { authorization: `Bearer ${server.token('kim')}`, origin: 'https://localhost' }
  const socket = new WebSocket(`wss://localhost:${port}/ws`, 'frontdesk.v1.json', { ca, headers, family: 4 })
  const frames = []
  socket.on('message', (data) => frames.push(JSON.parse(data)))
  const frame = async () => {
    while (!frames.length) await new Promise((resolve) => socket.once('message', resolve))
    return frames.shift()
  }
  assert.equal((await within(frame(), () => 'welcome')).event, 'welcome')
  socket.send(JSON.stringify({ event: 'send_message', data: { message: 'hello' }, id: 1 }))
  assert.equal((await within(frame(), () => 'the ack')).data.seq, 1)
  socket.close()
})

test('each client is counted by its own address, whatever it says of itself', async () => {
  const guess = (from, n, claims = {}) =>
    ask('POST', '/auth/login', { body: { email: `${n}@example.org`, password: 'wrong horse' }, headers: { from, ...claims } })
  for (const n of ['a', 'b']) assert.equal((await guess('127.0.0.2', n)).status, 401)
  assert.equal((await guess('127.0.0.2', 'c', { 'x-forwarded-for': '192.0.2.9' })).status, 429)
  assert.equal((await guess('127.0.0.3', 'c')).status, 401)
})

test('metrics are not for the public, and refusals come in the form of the API', async () => {
  assert.equal((await ask('GET', '/metrics')).status, 404)
  const large = await ask('POST', '/auth/login', { body: { email: 'x'.repeat(200_000) } })
  assert.equal(large.status, 413)
  assert.equal(JSON.parse(large.text).code, 'too_large')
})
