// Recovery of clients by themselves: servers that end, tokens that expire, networks that break.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ALL, Client, each } from './kit/client.mjs'
import { Proxy } from '../nodejs/proxy.mjs'
import { Server } from '../nodejs/server.mjs'
import { within } from '../nodejs/within.mjs'

let people = 0

/** A customer's client that resumes after the last message it has seen. */
async function connectResuming(server, proxy, { version, way }) {
  const token = server.token(`person ${++people}`)
  let seen
  const auth = (give) => give({ token, ...(seen && { resume: [seen] }) })
  const client = await Client.connect(version, way, proxy.url, { auth })
  seen = { chatId: client.chat, afterSeq: 0 }
  client.socket.on('receive_message', ({ chatId, seq }) => (seen = { chatId, afterSeq: seq }))
  return Object.assign(client, { token })
}

describe('a server that ends and starts again', async () => {
  const server = await Server.start()
  const proxy = await Proxy.to(server.port)
  after(() => server.stop())
  after(() => proxy.stop())

  /** A restart of the server, with messages written before the clients are back. */
  async function outage(signal, ends) {
    const clients = await each(ALL, (kind) => connectResuming(server, proxy, kind))
    const post = (text) => each(clients, async ({ chat }) =>
      assert.equal((await server.http(server.admin(), 'POST', `/chats/${chat}/messages`, { message: text })).status, 201))
    await post('before')
    await each(clients, async (client) => assert.equal((await client.next('receive_message')).message, 'before'))
    const first = clients.map(({ welcome }) => welcome.sessionId)
    const ended = server.end(signal)
    await each(clients, ends)
    proxy.isShut = true
    await ended
    await server.run()
    for (const text of ['one', 'two', 'three']) await post(text)
    proxy.isShut = false
    await each(clients, async (client) => {
      const { sessionId, chats: [chat] } = await client.isIn()
      assert.ok(!first.includes(sessionId))
      assert.deepEqual([chat.replayed, chat.replayedTo, chat.truncated, chat.reset], [3, 4, false, false])
      for (const text of ['one', 'two', 'three']) assert.equal((await client.next('receive_message')).message, text)
      assert.equal((await client.acked('send_message', { message: 'I am back' })).seq, 5)
      assert.ok(!client.has('receive_message'), 'none came twice')
      client.close()
    })
  }

  test('killed: each client comes back by itself and has what it missed', () =>
    outage('SIGKILL', async (client) => {
      assert.match(await client.next('disconnect'), /^transport (close|error)$/)
      assert.ok(!client.has('goodbye'))
    }))

  test('stopped: each client hears goodbye first, and comes back as well', () =>
    outage('SIGTERM', async (client) => {
      assert.deepEqual(await client.farewell(), { goodbye: 'shutdown', disconnect: 'transport close' })
    }))
})

describe('clients that do not fetch what there is for them', async () => {
  const server = await Server.start({ LIMITS__SESSION_QUEUE_EVENTS: '20', LIMITS__PRESENCE_GRACE_MS: '0' })
  const proxy = await Proxy.to(server.port)
  after(() => server.stop())
  after(() => proxy.stop())

  test('are closed, come back, and have all of it once and in order', async () => {
    const kinds = ALL.filter(({ way }) => way === 'polling')
    const clients = await each(kinds, (kind) => connectResuming(server, proxy, kind))
    const all = Array.from({ length: 60 }, (_, n) => n + 1)
    const told = clients.map(({ socket }) => {
      const seqs = []
      const last = new Promise((resolve) => socket.on('receive_message', ({ seq }) => seqs.push(seq) && seq === all.length && resolve()))
      return async () => (await within(last, () => `last message; there are ${seqs}`), seqs)
    })
    proxy.hold()
    await each(clients, async ({ chat }) => {
      for (const n of all) await server.http(server.admin(), 'POST', `/chats/${chat}/messages`, { message: `no. ${n}` })
    })
    const ended = async () => {
      while ((await server.metric('sessions_ended_total{reason="SlowReader"}')) < clients.length) await sleep(50)
    }
    await within(ended(), () => 'end of the slow readers')
    proxy.release()
    await each(clients, async (client, at) => {
      assert.deepEqual(await told[at](), all)
      assert.match(await client.next('disconnect'), /^transport/)
      client.close()
    })
    const isOnline = async ({ welcome: { user } }) => (await server.http(server.admin(), 'GET', `/users/${user.id}`)).body.online
    const left = async () => {
      while ((await Promise.all(clients.map(isOnline))).some(Boolean)) await sleep(50)
    }
    await within(left(), () => 'end of their presence: the server still counts a session that has ended')
  })
})

describe('where sessions are recovered', { concurrency: true }, async () => {
  const server = await Server.start({ SOCKETIO__RECOVERY_MS: '600000' })
  after(() => server.stop())
  const post = async (chat, message) =>
    assert.equal((await server.http(server.admin(), 'POST', `/chats/${chat}/messages`, { message })).status, 201)

  test('an unmodified client has each message once and in order, however often it is cut off', () =>
    each(ALL.filter(({ version }) => version === '4.8'), async ({ version, way }) => {
      const proxy = await Proxy.to(server.port)
      const client = await Client.connect(version, way, proxy.url, { auth: { token: server.token(`recovered ${way}`) } })
      const { chat } = client
      const seqs = []
      let isWhole
      const whole = new Promise((resolve) => (isWhole = resolve))
      client.socket.on('receive_message', ({ seq }) => seqs.push(seq) && seq === 30 && isWhole())
      assert.ok(!client.socket.recovered, 'the first time there is nothing to recover')
      for (let n = 1; n <= 30; n++) {
        const isBroken = n % 6 === 0
        if (isBroken) proxy.shut()
        await post(chat, `no. ${n}`)
        if (!isBroken) continue
        await client.next('disconnect')
        proxy.isShut = false
        await client.isIn()
        assert.ok(client.socket.recovered, `after no. ${n}`)
      }
      await within(whole, () => `last message; there are ${seqs}`)
      assert.deepEqual(seqs, Array.from({ length: 30 }, (_, n) => n + 1))
      client.close()
      proxy.stop()
    }))

  test('a client before 4.6 is served as ever', () =>
    each(ALL.filter(({ version }) => version !== '4.8'), async ({ version, way }) => {
      const proxy = await Proxy.to(server.port)
      const client = await Client.connect(version, way, proxy.url, { auth: { token: server.token(`older ${version} ${way}`) } })
      await post(client.chat, 'hello')
      assert.equal((await client.next('receive_message')).message, 'hello')
      proxy.shut()
      await client.next('disconnect')
      proxy.isShut = false
      await client.isIn()
      assert.equal((await client.acked('send_message', { message: 'back' })).seq, 2)
      client.close()
      proxy.stop()
    }))
})

/** The ends of a client, the rude ones too. */
const ENDINGS = {
  'says good-bye': (client) => client.close(),
  'says it in the midst of its messages': (client) => {
    for (let n = 0; n < 30; n++) client.socket.emit('send_message', { message: `no. ${n}` }, () => undefined)
    client.close()
  },
  'leaves a namespace before it is in': (client, auth) => {
    client.namespace('/chats', { auth }).close()
    client.close()
  },
  'enters and leaves a namespace in a hurry': async (client, auth) => {
    const chats = client.namespace('/chats', { auth })
    await chats.isIn()
    for (let n = 0; n < 5; n++) {
      chats.socket.disconnect()
      chats.socket.connect()
    }
    await chats.isIn()
    chats.close()
    client.close()
  },
  'sends what is no packet': async (client) => {
    client.engine.write('neither this')
    await client.next('disconnect')
  },
  'sends too much': async (client) => {
    client.socket.emit('send_message', { message: 'x'.repeat(200_000) })
    await client.next('disconnect')
  },
  'is cut off': (client, _, proxy) => proxy.cut(),
  'is cut off in the midst of its messages': (client, _, proxy) => {
    for (let n = 0; n < 30; n++) client.socket.emit('send_message', { message: `no. ${n}` }, () => undefined)
    proxy.cut()
  },
}

describe('however a client ends', { concurrency: true }, async () => {
  const server = await Server.start({
    LIMITS__HEARTBEAT_MS: '500', SOCKETIO__PING_TIMEOUT_MS: '3000', LIMITS__PRESENCE_GRACE_MS: '0',
  })
  after(() => server.stop())
  const gauges = ['sessions', 'unauthenticated', 'socketio_connections{transport="polling"}', 'socketio_connections{transport="websocket"}']

  test('nothing of it is left', async () => {
    const kinds = Object.keys(ENDINGS).flatMap((ending) => ALL.map((kind) => ({ ending, ...kind })))
    const users = await each(kinds, async ({ ending, version, way }) => {
      const proxy = await Proxy.to(server.port)
      const auth = { token: server.token(`${ending} ${version} ${way}`) }
      const client = await Client.connect(version, way, proxy.url, { auth })
      // Nobody comes back.
      client.socket.io.reconnection(false)
      proxy.isShut = ending.startsWith('is cut off')
      await ENDINGS[ending](client, auth, proxy)
      if (proxy.isShut) client.close()
      return { ending, version, way, id: client.welcome.user.id }
    })
    const isLeft = async (gauge) => (await server.metric(gauge)) > 0
    const isOnline = async ({ id }) => (await server.http(server.admin(), 'GET', `/users/${id}`)).body.online
    let left
    const none = async () => {
      do {
        left = []
        for (const gauge of gauges) if (await isLeft(gauge)) left.push(gauge)
        for (const user of users) if (await isOnline(user)) left.push(`${user.version} over ${user.way}, which ${user.ending}`)
      } while (left.length)
    }
    await within(none(), () => `end of ${left.join('; ')}`)
  })
})

describe('a token that expires', { concurrency: true }, async () => {
  const server = await Server.start({ LIMITS__LEEWAY_SECONDS: '0' })
  after(() => server.stop())
  const seconds = 6

  const expires = async (client) =>
    assert.deepEqual(await client.farewell(), { goodbye: 'token_expired', disconnect: 'transport close' })

  test('heals by itself where `auth` is a function', () => each(ALL, async ({ version, way }) => {
    const subject = `healed ${version} ${way}`
    const tokens = [server.token(subject, { seconds })]
    const auth = (give) => give({ token: tokens.shift() ?? server.token(subject) })
    const client = await Client.connect(version, way, server.url, { auth })
    const { sessionId, chats } = client.welcome
    await expires(client)
    await client.isIn()
    assert.notEqual(client.welcome.sessionId, sessionId)
    assert.equal(client.chat, chats[0].id)
    assert.equal((await client.acked('send_message', { message: 'still here' })).seq, 1)
    assert.ok(!client.has('connect_error'))
    client.close()
  }))

  test('may be renewed by `authenticate`, and the session goes on', async () => {
    const renewed = await each(ALL, async ({ version, way }) => {
      const subject = `renewed ${version} ${way}`
      const client = await Client.connect(version, way, server.url, { auth: { token: server.token(subject, { seconds }) } })
      await client.acked('authenticate', { token: server.token(subject) })
      return client
    })
    // Its token expires after theirs would have.
    const witness = await Client.connect('4.8', 'websocket', server.url, { auth: { token: server.token('witness', { seconds }) } })
    await expires(witness)
    witness.close()
    await each(renewed, async (client) => {
      await client.acked('ping')
      assert.ok(!client.has('goodbye') && !client.has('disconnect'))
      client.close()
    })
  })

  test('ends in `connect_error` where it is a fixed object', () => each(ALL, async ({ version, way }) => {
    const token = server.token(`fixed ${version} ${way}`, { seconds })
    const client = await Client.connect(version, way, server.url, { auth: { token } })
    await expires(client)
    const error = await client.next('connect_error')
    assert.deepEqual([error.data?.status, error.data?.code], ['error', 'token_expired'], error.message)
    assert.ok(!client.socket.connected)
    client.close()
  }))
})
