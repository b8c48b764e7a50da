// TLS in the server itself: with a certificate that is changed while it serves.

import assert from 'node:assert/strict'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import { connect } from 'node:tls'
import { after, before, test } from 'node:test'
import { WebSocket } from 'ws'
import { Server } from '../nodejs/server.mjs'
import { within } from '../nodejs/within.mjs'

const KEYS = process.env.KEYS
const ca = [1, 2].map((n) => readFileSync(join(KEYS, `tls-${n}.crt.pem`)))

let server, folder

const use = (n) =>
  Promise.all(['crt', 'key'].map((part) => copyFile(join(KEYS, `tls-${n}.${part}.pem`), join(folder, part))))

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frontdesk-tls-'))
  await use(1)
  const [SERVER__TLS_CERT_FILE, SERVER__TLS_KEY_FILE] = [join(folder, 'crt'), join(folder, 'key')]
  server = await Server.start({ SERVER__TLS_CERT_FILE, SERVER__TLS_KEY_FILE })
})

after(async () => {
  await server.stop()
  await rm(folder, { recursive: true, force: true })
})

/** The name in the certificate that a new connection gets, and the protocol of TLS. */
function certificate(options = {}) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: server.port, ca, ALPNProtocols: ['http/1.1'], ...options }, () => {
      resolve({ name: socket.getPeerCertificate().subject.CN, protocol: socket.getProtocol() })
      socket.end()
    })
    socket.once('error', reject)
  })
}

function get(path) {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: server.port, path, ca }, (answer) => {
      let text = ''
      answer.on('data', (data) => (text += data))
      answer.on('end', () => resolve({ status: answer.statusCode, text }))
    })
    asked.once('error', reject)
    asked.end()
  })
}

function session() {
  const headers = { authorization: `Bearer ${server.token('kim')}` }
  const socket = new WebSocket(`wss://127.0.0.1:${server.port}/ws`, { ca, headers })
  const frames = []
  const next = () =>
    within(new Promise((resolve, reject) => {
      if (frames.length) return resolve(frames.shift())
      socket.once('message', () => resolve(frames.shift()))
      socket.once('error', reject)
    }), () => 'a frame over TLS')
  socket.on('message', (data) => frames.push(JSON.parse(data)))
  return { socket, next }
}

test('HTTP and WebSockets come over TLS', async () => {
  assert.equal((await get('/healthz')).status, 200)
  const { socket, next } = session()
  assert.equal((await next()).event, 'welcome')
  socket.send(JSON.stringify({ event: 'send_message', data: { message: 'hello' }, id: 1 }))
  assert.equal((await next()).data.seq, 1)
  socket.close()
})

test('only TLS 1.2 and 1.3 are spoken', async () => {
  assert.equal((await certificate()).protocol, 'TLSv1.3')
  assert.equal((await certificate({ maxVersion: 'TLSv1.2' })).protocol, 'TLSv1.2')
  await assert.rejects(certificate({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' }))
})

test('a new certificate is read at SIGHUP, and no session ends', async () => {
  const { socket, next } = session()
  assert.equal((await next()).event, 'welcome')
  assert.equal((await certificate()).name, 'frontdesk test 1')
  await use(2)
  server.child.kill('SIGHUP')
  const changed = async () => {
    while ((await certificate()).name !== 'frontdesk test 2');
  }
  await within(changed(), () => 'the new certificate')
  // A broken one changes nothing.
  await writeFile(join(folder, 'crt'), 'nonsense')
  server.child.kill('SIGHUP')
  socket.send(JSON.stringify({ event: 'ping', id: 2 }))
  assert.equal((await next()).event, 'ack')
  assert.equal((await certificate()).name, 'frontdesk test 2')
  socket.close()
})

test('a certificate that cannot be read keeps the server from starting, with words', async () => {
  const settings = { SERVER__TLS_CERT_FILE: join(folder, 'none'), SERVER__TLS_KEY_FILE: join(folder, 'key') }
  await assert.rejects(Server.start(settings), /ended with 2[^]*none/)
})
