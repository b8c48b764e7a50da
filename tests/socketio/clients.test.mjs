// Socket.IO's own clients, each over each way, against one server.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ALL, Client, VERSIONS, WAYS, each } from './kit/client.mjs'
import { Proxy } from '../nodejs/proxy.mjs'
import { Server } from '../nodejs/server.mjs'
import { within } from '../nodejs/within.mjs'

let server
before(async () => (server = await Server.start({ LIMITS__PRESENCE_GRACE_MS: '0' })))
after(() => server?.stop())

let people = 0
const person = (options) => {
  const subject = `person ${++people}`
  return { subject, token: server.token(subject, options) }
}

/** A client of a new customer, connected. */
const connect = (version, way, options) => Client.connect(version, way, server.url, { auth: { token: person().token }, ...options })

/** An admin's message, over HTTP. */
async function post(chat, message) {
  const { status, body } = await server.http(server.admin(), 'POST', `/chats/${chat}/messages`, { message })
  assert.equal(status, 201, JSON.stringify(body))
  return body
}

const asError = (answer, code, event) => {
  assert.deepEqual([answer?.status, answer?.code, answer?.event], ['error', code, event])
  assert.equal(typeof answer.message, 'string')
}

for (const version of VERSIONS) {
  const isSince = (other) => Number(version) >= other
  for (const way of Object.keys(WAYS)) describe(`socket.io-client ${version} over ${way}`, { concurrency: true }, () => {
    test('is in once `connect` comes, and `welcome` is the first event', async () => {
      const client = Client.open(version, way, server.url, { auth: { token: person().token } })
      await client.next('connect')
      const first = await client.find(() => true, 'event')
      assert.equal(first.event, 'welcome')
      assert.deepEqual(first.more, [], 'an event has one argument')
      assert.equal(first.data.sessionId, client.socket.id)
      assert.equal(first.data.chats.length, 1)
      await client.upgraded
      assert.equal(client.engine.transport.name, way === 'polling' ? 'polling' : 'websocket')
      assert.notEqual(client.engine.id, client.socket.id, 'the id of the connection is a secret')
      assert.match((await client.acked('ping')).serverTime, /Z$/)
      client.close()
    })

    test('may bring its token in a header, with and without `Bearer`, and in `auth` with it', async () => {
      const { token } = person()
      for (const options of [{ extraHeaders: { Authorization: `Bearer ${token}` } }, { auth: { token: `Bearer ${token}` } }]) {
        const client = await Client.connect(version, way, server.url, options)
        assert.equal(client.welcome.user.role, 'customer')
        client.close()
      }
    })

    test('has every message of both sides once and in order, whatever carries it', async () => {
      const proxy = await Proxy.to(server.port)
      const release = proxy.holdUpgrades()
      if (way === 'websocket') release()
      const kim = Client.open(version, way, proxy.url, { auth: { token: person().token } })
      const ada = Client.open(version, way, proxy.url, { auth: { token: person({ role: 'admin' }).token } })
      await Promise.all([kim.isIn(), ada.isIn()])
      const { chat } = kim
      await ada.acked('enter_chat', { chatIds: [chat] })
      const sides = [kim, ada].map((client) => follow(client, chat))
      const talk = (from, to) => {
        for (let n = from; n < to; n++) for (const { say } of sides) say(n)
      }
      talk(0, 100)
      // Some have gone over the first transport.
      await Promise.all(sides.map(({ reached }) => reached(20)))
      release()
      talk(100, 180)
      await Promise.all([kim.upgraded, ada.upgraded])
      talk(180, 200)
      await Promise.all(sides.map(({ reached }) => reached(400)))
      for (const { seqs, texts } of sides) {
        assert.deepEqual(seqs, Array.from({ length: 400 }, (_, i) => i + 1))
        assert.deepEqual(texts, Array.from({ length: 200 }, (_, n) => `no. ${n}`))
      }
      for (const client of [kim, ada]) {
        assert.ok(!client.has('exception') && !client.has('disconnect'))
        client.close()
      }
      proxy.stop()
    })

    test('hears of typing, of marks and of who is there', async () => {
      const kim = await connect(version, way)
      const ada = await connect(version, way, { auth: { token: person({ role: 'admin' }).token } })
      await ada.acked('enter_chat', { chatIds: [kim.chat] })
      await ada.acked('typing', { chatId: kim.chat, typing: true })
      const userId = ada.welcome.user.id
      assert.deepEqual(await kim.next('typing'), { chatId: kim.chat, userId, typing: true })
      await kim.acked('send_message', { message: 'hello' })
      await ada.next('receive_message')
      await ada.acked('read_message', { chatId: kim.chat, seq: 1 })
      assert.deepEqual(await kim.next('message_read'), { chatId: kim.chat, userId, seq: 1 })
      const { chat, welcome } = kim
      kim.close()
      assert.deepEqual(await ada.next('presence'), { chatId: chat, userId: welcome.user.id, online: false })
      ada.close()
    })

    test('is told of a refusal by `exception`, and by the ack where it wants one', async () => {
      const client = await connect(version, way)
      const answer = await client.request('enter_chat', { chatIds: [999_999] })
      asError(answer, 'chat_not_found', 'enter_chat')
      assert.deepEqual(await client.next('exception'), answer)
      client.socket.emit('no_such_event', {})
      asError(await client.next('exception'), 'unknown_event', 'no_such_event')
      asError(await client.request('ping', {}, {}), 'bad_request', 'ping')
      assert.match((await client.acked('ping')).serverTime, /Z$/)
      client.close()
    })

    test('may send a bare text and a bare list, as tutorials do', async () => {
      const kim = await connect(version, way)
      const ada = await connect(version, way, { auth: { token: person({ role: 'admin' }).token } })
      const { chats } = await ada.acked('enter_chat', [kim.chat])
      assert.equal(chats[0].chatId, kim.chat)
      assert.equal((await kim.acked('send_message', 'just this')).seq, 1)
      assert.equal((await ada.next('receive_message')).message, 'just this')
      ada.close()
      kim.close()
    })

    test('that sends binary is refused in words, and stays', async () => {
      const client = await connect(version, way)
      const { id } = client.engine
      const answer = await client.request('send_message', { message: Buffer.from('bytes'), more: Buffer.from('more') })
      assert.deepEqual([answer.status, answer.code], ['error', 'bad_request'])
      assert.match(answer.message, /binary/)
      assert.deepEqual(await client.next('exception'), answer)
      client.socket.emit('send_message', Buffer.alloc(3))
      assert.match((await client.next('exception')).message, /binary/)
      assert.equal((await client.acked('send_message', { message: 'words' })).seq, 1)
      assert.equal(client.engine.id, id)
      client.close()
    })

    test('has two namespaces on one connection, and may leave and enter each', async () => {
      const auth = { token: person().token }
      const main = await connect(version, way, { auth })
      const chats = main.namespace('/chats', { auth })
      await chats.isIn()
      const { id } = main.engine
      assert.equal(chats.engine, main.engine)
      assert.notEqual(chats.welcome.sessionId, main.welcome.sessionId)
      const { seq } = await post(main.chat, 'to both')
      assert.deepEqual([(await main.next('receive_message')).seq, (await chats.next('receive_message')).seq], [seq, seq])
      // A message of one session is news for the other.
      await chats.acked('send_message', { message: 'from the one' })
      assert.equal((await main.next('receive_message')).message, 'from the one')
      chats.close()
      assert.equal(await chats.next('disconnect'), 'io client disconnect')
      // Packets are handled in order: this answer comes after the DISCONNECT was handled.
      await main.acked('ping')
      await post(main.chat, 'to the other')
      assert.equal((await main.next('receive_message')).message, 'to the other')
      const first = chats.welcome.sessionId
      chats.socket.connect()
      assert.equal((await chats.isIn()).chats[0].lastSeq, 3)
      assert.notEqual(chats.welcome.sessionId, first)
      await Promise.all([main.acked('ping'), chats.acked('ping')])
      assert.ok(!chats.has('receive_message'))
      assert.equal(main.engine.id, id)
      main.close()
      chats.close()
    })

    test('with a bad token is refused with a code, and may try again on the same connection', async () => {
      const { token } = person()
      const client = Client.open(version, way, server.url, { auth: { token: 'nonsense' } })
      asConnectError(await client.next('connect_error'), 'unauthenticated')
      // Newer clients close a connection themselves when no namespace is left on it.
      if (!isSince(4.5)) await client.upgraded
      const { id } = client.engine
      client.socket.auth = { token }
      client.socket.connect()
      await client.isIn()
      if (!isSince(4.5)) assert.equal(client.engine.id, id)
      // No client closes a connection on which another namespace is open.
      const { id: second } = client.engine
      const chats = client.namespace('/chats', { auth: {} })
      const refused = await chats.next('connect_error')
      asConnectError(refused, 'unauthenticated')
      assert.match(refused.message, /auth/, 'says where a token belongs')
      chats.socket.auth = { token }
      chats.socket.connect()
      await chats.isIn()
      assert.equal(client.engine.id, second)
      client.close()
      chats.close()
    })

    test('finds no namespace that is not there', async () => {
      const client = await connect(version, way)
      const nowhere = client.namespace('/nowhere', { auth: { token: person().token } })
      assert.equal((await nowhere.next('connect_error')).message, 'Invalid namespace')
      await client.acked('ping')
      client.close()
    })

    test('whose user is blocked is told so, and does not come back', async () => {
      const { token } = person()
      const client = await connect(version, way, { auth: { token } })
      const { status } = await server.http(server.admin(), 'POST', `/users/${client.welcome.user.id}/block`)
      assert.ok(status < 300)
      assert.deepEqual(await client.farewell(), { goodbye: 'blocked', disconnect: 'io server disconnect' })
      assert.ok(!client.socket.active && !client.has('disconnect'))
      client.socket.connect()
      asConnectError(await client.next('connect_error'), 'forbidden')
      client.close()
    })

    if (isSince(4.5)) test('has its timeouts: of what is answered, and of what is not', async () => {
      const proxy = await Proxy.to(server.port)
      const client = await Client.connect(version, way, proxy.url, { auth: { token: person().token } })
      const timed = (ms, event, data) => within(new Promise((resolve) =>
        client.socket.timeout(ms).emit(event, data, (error, answer) => resolve({ error, answer }))), () => `end of ${event}`)
      const { error, answer } = await timed(60_000, 'send_message', { message: 'in time' })
      assert.deepEqual([error, answer.seq], [null, 1])
      const refused = await timed(60_000, 'enter_chat', { chatIds: [999_999] })
      assert.equal(refused.error, null)
      asError(refused.answer, 'chat_not_found', 'enter_chat')
      proxy.hold()
      assert.match((await timed(100, 'ping', {})).error.message, /timed out/)
      proxy.release()
      await client.acked('ping')
      client.close()
      proxy.stop()
    })

    if (isSince(4.8)) test('has its emitWithAck', async () => {
      const client = await connect(version, way)
      assert.equal((await client.socket.emitWithAck('send_message', { message: 'hello' })).seq, 1)
      asError(await client.socket.timeout(60_000).emitWithAck('enter_chat', { chatIds: [999_999] }), 'chat_not_found', 'enter_chat')
      client.close()
    })

    if (isSince(4.8)) test('with `retries` sends once what is refused, and again what it lost the ack of', async () => {
      const proxy = await Proxy.to(server.port)
      const { token } = person()
      const client = await Client.connect(version, way, proxy.url, { auth: { token }, retries: 3, ackTimeout: 60_000 })
      const tried = (event, data) => within(new Promise((resolve) =>
        client.socket.emit(event, data, (error, answer) => resolve({ error, answer }))), () => `end of ${event}`)
      const refused = await tried('enter_chat', { chatIds: [999_999] })
      assert.equal(refused.error, null)
      asError(await client.next('exception'), 'chat_not_found', 'enter_chat')
      assert.equal((await tried('ping', {})).error, null)
      assert.ok(!client.has('exception'), 'it was sent once')
      // Else the held answer keeps the client from sending.
      await client.drained()
      proxy.hold()
      const lost = tried('send_message', { message: 'once', clientId: 'c-1' })
      await proxy.said('"duplicate":false')
      proxy.cut()
      const { error, answer } = await lost
      assert.deepEqual([error, answer.seq, answer.duplicate], [null, 1, true])
      const { body } = await server.http(token, 'GET', `/chats/${client.chat}/messages`)
      assert.deepEqual(body.data.map(({ message }) => message), ['once'])
      client.close()
      proxy.stop()
    })
  })
}

describe('with the options of socket.io-client 4.8', { concurrency: true }, () => {
  const options = [
    { transports: ['websocket', 'polling'] }, { upgrade: false }, { rememberUpgrade: true }, { addTrailingSlash: false },
    { timestampRequests: false, transports: ['polling'] }, { forceBase64: true }, { query: { v: '2', text: 'a b&c' } },
    { perMessageDeflate: { threshold: 0 }, transports: ['websocket'] }, { perMessageDeflate: false, transports: ['websocket'] },
    { withCredentials: true, transports: ['polling'] }, { protocols: ['chat'], transports: ['websocket'] },
  ]
  for (const option of options) test(JSON.stringify(option), async () => {
    const client = Client.open('4.8', undefined, server.url, { auth: { token: person().token }, ...option })
    await client.isIn()
    assert.ok(!client.socket.recovered)
    assert.equal((await client.acked('send_message', { message: '안녕하세요 👋 \u2028 \u001e' })).seq, 1)
    const { body } = await server.http(server.admin(), 'GET', `/chats/${client.chat}/messages`)
    assert.equal(body.data[0].message, '안녕하세요 👋 \u2028 \u001e')
    client.close()
  })

  test('what is sent before there is a connection arrives once there is one', async () => {
    const client = Client.open('4.8', 'polling', server.url, { autoConnect: false, auth: { token: person().token } })
    const sent = Promise.all(Array.from({ length: 20 }, (_, n) => client.acked('send_message', { message: `no. ${n}` })))
    client.socket.connect()
    assert.deepEqual((await sent).map(({ seq }) => seq), Array.from({ length: 20 }, (_, n) => n + 1))
    client.close()
  })

  test('whose WebSockets are blocked polls, if it is to try all transports', async () => {
    const proxy = await Proxy.to(server.port)
    proxy.isShutToSockets = true
    const transports = ['websocket', 'polling']
    const client = Client.open('4.8', undefined, proxy.url, { auth: { token: person().token }, transports, tryAllTransports: true })
    await client.isIn()
    assert.equal(client.engine.transport.name, 'polling')
    assert.equal((await client.acked('send_message', { message: 'by polling' })).seq, 1)
    client.close()
    proxy.stop()
  })

  test('a message larger than a frame may be breaks the connection, and the next connection is good', async () => {
    for (const way of Object.keys(WAYS)) {
      const client = await connect('4.8', way)
      client.socket.emit('send_message', { message: 'x'.repeat(200_000) })
      assert.match(await client.next('disconnect'), /^transport (close|error)$/, way)
      await client.isIn()
      assert.equal((await client.acked('send_message', { message: 'shorter' })).seq, 1)
      client.close()
    }
  })
})

describe('by its settings', { concurrency: true }, () => {
  let other
  before(async () => (other = await Server.start({
    SOCKETIO__PATH: '/under/another/path/', SOCKETIO__NAMESPACES: '/chats', SOCKETIO__ERRORS: 'event',
    LIMITS__SESSIONS_PER_USER: '1', LIMITS__HEARTBEAT_MS: '100', SOCKETIO__UPGRADE_TIMEOUT_MS: '600000',
  })))
  after(() => other?.stop())
  const open = (version, subject, way = 'upgrade', url = other.url) =>
    Client.open(version, way, `${url}/chats`, { path: '/under/another/path', auth: { token: other.token(subject) } })

  test('the server pings, and whoever answers stays', () => each(ALL, async ({ version, way }) => {
    const client = open(version, `pinged ${version} ${way}`, way)
    await client.isIn()
    await client.upgraded
    let pings = 0
    await within(new Promise((resolve) => client.engine.on('packet', ({ type }) => {
      if (type === 'ping' && ++pings === 5) resolve()
    })), () => `fifth ping; there were ${pings}`)
    await client.acked('ping')
    assert.ok(!client.has('disconnect'))
    client.close()
  }))

  test('a WebSocket that stalls in the midst of the upgrade holds nothing up', () => each(VERSIONS.map((version) => ({ version })), async ({ version }) => {
    const proxy = await Proxy.to(other.port)
    proxy.hold({ isOfSockets: true })
    const client = open(version, `stalled ${version}`, 'upgrade', proxy.url)
    await client.isIn()
    await proxy.said('3probe')
    for (let n = 1; n <= 10; n++) assert.equal((await client.acked('send_message', { message: `no. ${n}` })).seq, n)
    assert.equal(client.engine.transport.name, 'polling')
    proxy.release()
    await client.upgraded
    assert.equal((await client.acked('send_message', { message: 'at last' })).seq, 11)
    client.close()
    proxy.stop()
  }))

  test('whose upgrade is refused goes on polling', () => each(VERSIONS.map((version) => ({ version })), async ({ version }) => {
    const proxy = await Proxy.to(other.port)
    proxy.isShutToSockets = true
    const client = open(version, `refused ${version}`, 'upgrade', proxy.url)
    const refused = new Promise((resolve) => client.engine.once('upgradeError', resolve))
    await client.isIn()
    await within(refused, () => 'upgradeError')
    for (let n = 1; n <= 10; n++) assert.equal((await client.acked('send_message', { message: `no. ${n}` })).seq, n)
    assert.equal(client.engine.transport.name, 'polling')
    assert.ok(!client.has('disconnect'))
    client.close()
    proxy.stop()
  }))

  for (const version of VERSIONS) {
    test(`the server is under another path, and leaves the ack of a refusal out, with ${version}`, async () => {
      const client = open(version, `path ${version}`)
      await client.isIn()
      client.socket.emit('enter_chat', { chatIds: [999_999] }, () => assert.fail('it is no success'))
      asError(await client.next('exception'), 'chat_not_found', 'enter_chat')
      assert.match((await client.acked('ping')).serverTime, /Z$/)
      client.close()
    })

    test(`the oldest session makes room for the newest, and does not come back, with ${version}`, async () => {
      const first = open(version, `replaced ${version}`)
      await first.isIn()
      const second = open(version, `replaced ${version}`)
      await second.isIn()
      assert.deepEqual(await first.farewell(), { goodbye: 'replaced', disconnect: 'io server disconnect' })
      await second.acked('ping')
      assert.ok(!first.socket.active && !second.has('disconnect'))
      first.close()
      second.close()
    })
  }
})

describe('what is refused before there is a session', () => {
  test('socket.io-client 2.5 speaks an older protocol: code 5', async () => {
    const { default: io } = await import('client-2-5')
    const refusals = () => server.metric('socketio_refused_total{code="5"}')
    for (const options of Object.values(WAYS)) {
      const before = await refusals()
      const socket = io(server.url, { forceNew: true, reconnection: false, ...options })
      await within(new Promise((resolve) => socket.once('connect_error', resolve)), () => 'connect_error')
      assert.equal(await refusals(), before + 1)
      socket.close()
    }
    const answer = await fetch(`${server.url}/socket.io/?EIO=3&transport=polling`)
    assert.deepEqual([answer.status, await answer.json()], [400, { code: 5, message: 'Unsupported protocol version' }])
  })
})

function asConnectError(error, code) {
  assert.ok(error.data, `${error.message} has no data`)
  assert.deepEqual([error.data.status, error.data.code], ['error', code])
  assert.equal(typeof error.message, 'string')
}

/** Record of the positions in a chat, of messages and own acks alike, in the order of arrival. */
function follow(client, chat) {
  const seqs = []
  const texts = []
  let check = () => undefined
  const note = (seq) => {
    seqs.push(seq)
    check()
  }
  client.socket.on('receive_message', ({ seq, message }) => {
    texts.push(message)
    note(seq)
  })
  const say = (n) => client.socket.emit('send_message', { chatId: chat, message: `no. ${n}` }, ({ seq }) => note(seq))
  const reached = (count) => within(new Promise((resolve) => {
    check = () => seqs.length >= count && resolve()
    check()
  }), () => `${count} messages, but ${seqs.length}; the last was ${seqs.at(-1)}`)
  return { seqs, texts, say, reached }
}
