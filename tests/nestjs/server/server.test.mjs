// The server beside unmodified NestJS services, on a real RabbitMQ. Which NestJS: $NEST_SERVICE, the
// built service of one version.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { Server } from './server.mjs'
import { put, take } from './queue.mjs'

const built = process.env.NEST_SERVICE
const version = Number(process.env.NEST_VERSION)
const prefix = (process.env.RABBITMQ_PREFIX = `n${randomBytes(6).toString('hex')}.`)

const routes = [
  { event: 'send', queue: `${prefix}api`, pattern: '{"cmd":"send"}' },
  // Written in another order than the service has it.
  { event: 'ask', queue: `${prefix}api`, pattern: '{"v":2,"cmd":"ask"}' },
  { event: 'quote', queue: `${prefix}api`, pattern: '{"cmd":"quote"}', kind: 'request', role: 'customer' },
  { event: 'lost', queue: `${prefix}nobody`, pattern: 'lost' },
  ...['nothing', 'silence', 'refuse', 'refuse at length', 'break', 'count', 'unheard of'].map((pattern) => ({
    event: pattern, queue: `${prefix}api`, pattern, kind: 'request',
  })),
]

let server, service, admin

before(async () => {
  const { start } = await import(pathToFileURL(built))
  service = await start({ wildcards: version >= 11 })
  server = await Server.start(prefix, routes)
  admin = await server.token('anna', 'admin')
})

// The services end with the process: version 10 stumbles over its own end.
after(() => server?.stop())

/** All the answers of a request: what a service sees of it. */
const answers = (pattern, data) => new Promise((resolve, reject) => {
  const values = []
  // NestJS itself waits for ever.
  const limit = setTimeout(() => reject(new Error(`no answer to ${JSON.stringify(pattern)}`)), 20_000)
  service.server.send(pattern, data).subscribe({ next: (value) => values.push(value), error: reject, complete: () => resolve(values) })
    .add(() => clearTimeout(limit))
})

/** The one answer of a request. */
async function ask(command, data) {
  const values = await answers({ cmd: command }, data)
  assert.equal(values.length, 1, `${command} is answered once`)
  return values[0]
}

const emit = (client, pattern, data) => new Promise((resolve, reject) =>
  client.emit(pattern, data).subscribe({ error: reject, complete: resolve }))

const refused = (code) => (error) => {
  assert.equal(error.status, 'error', JSON.stringify(error))
  assert.equal(error.code, code)
  assert.equal(typeof error.message, 'string')
  return true
}

/** Asks until the answer is as wanted: for what an event from elsewhere changes. */
async function until(probe, wanted) {
  for (const limit = Date.now() + 20_000; ; await sleep(50)) {
    const found = await probe()
    if (wanted(found)) return found
    assert.ok(Date.now() < limit, `still ${JSON.stringify(found)}`)
  }
}

describe(`events of the server, with NestJS ${version}`, () => {
  const about = (pattern, chat) => (entry) => entry.pattern === pattern &&
    (entry.data.payload.message?.chatId ?? entry.data.payload.chat?.id ?? entry.data.payload.chatId) === chat

  test('reach an @EventPattern on a queue, each in its envelope', async () => {
    const client = await server.connect('eve')
    const { id: user } = client.welcome.user
    const { id: chat } = client.welcome.chats[0]
    await client.acked('send_message', { message: 'hello' })
    const [{ data: made }] = await service.news.read(about('chat.created', chat))
    assert.equal(made.payload.chat.members[0].email === undefined, false, 'a chat is as an admin sees it')
    const [{ data: event }] = await service.news.read(about('message.created', chat))
    assert.deepEqual(Object.keys(event).sort(), ['id', 'payload', 'source', 'time', 'version'])
    assert.deepEqual([event.source, event.version], ['frontdesk', 1])
    assert.match(event.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    const { message } = event.payload
    assert.deepEqual([message.message, message.seq, message.author.nickname], ['hello', 1, 'eve'])
    const [{ data: created }] = await service.news.read((e) => e.pattern === 'user.created' && e.data.payload.user.id === user)
    assert.equal(created.payload.user.nickname, 'eve')
    await service.news.read((e) => e.pattern === 'user.connected' && e.data.payload.userId === user)
    await client.close()
    await service.news.read((e) => e.pattern === 'user.disconnected' && e.data.payload.userId === user)
  })

  test('of one chat are in order, and each has an id of its own', async () => {
    const client = await server.connect('otto')
    const { id: chat } = client.welcome.chats[0]
    await Promise.all(Array.from({ length: 50 }, (_, i) => client.acked('send_message', { message: `no. ${i}` })))
    const events = await service.news.read(about('message.created', chat), 50)
    assert.deepEqual(events.map(({ data }) => data.payload.message.seq), Array.from({ length: 50 }, (_, i) => i + 1))
    assert.equal(new Set(events.map(({ data }) => data.id)).size, 50)
    await client.close()
  })

  test('tell of a mark that somebody set, not of the own message that was read by sending', async () => {
    const client = await server.connect('rita')
    const { id: chat } = client.welcome.chats[0]
    const { status } = await server.http(admin, 'POST', `/chats/${chat}/messages`, { message: 'how can I help?' })
    assert.equal(status, 201)
    await client.next('receive_message')
    await client.acked('read_message', { chatId: chat, seq: 1 })
    const [{ data }] = await service.news.read(about('message.read', chat))
    assert.deepEqual(data.payload, { chatId: chat, userId: client.welcome.user.id, seq: 1 })
    await client.close()
  })

  // NestJS 10 binds to no exchange.
  if (version >= 11) test('reach a wildcard @EventPattern on the exchange', async () => {
    const client = await server.connect('theo')
    const { id: chat } = client.welcome.chats[0]
    await client.acked('send_message', { message: 'by the exchange' })
    const [{ data }] = await service.topics.read((e) => e.data.payload.message?.chatId === chat)
    assert.equal(data.payload.message.message, 'by the exchange')
    await client.close()
  })
})

describe(`ClientProxy.send to the server, with NestJS ${version}`, () => {
  let client, user, chat
  before(async () => {
    client = await server.connect('kim')
    user = client.welcome.user.id
    chat = client.welcome.chats[0].id
    for (let i = 1; i <= 5; i++) await client.acked('send_message', { message: `message ${i}` })
  })
  after(() => client.close())

  test('get_user finds by id, by its text and by subject', async () => {
    for (const by of [{ id: user }, { id: `${user}` }, { userId: user }, { subject: 'kim' }]) {
      const found = await ask('get_user', by)
      assert.deepEqual([found.id, found.nickname, found.role], [user, 'kim', 'customer'])
    }
    await assert.rejects(ask('get_user', { id: 999_999 }), refused('user_not_found'))
    await assert.rejects(ask('get_user', {}), refused('bad_request'))
  })

  test('a command may be named by a plain string', async () => {
    assert.equal((await answers('get_user', { id: user }))[0].id, user)
  })

  test('get_chat finds by id and by its customer', async () => {
    for (const by of [{ id: chat }, { chatId: `${chat}` }, { userId: user }]) {
      const found = await ask('get_chat', by)
      assert.deepEqual([found.id, found.kind, found.lastSeq >= 5], [chat, 'support', true])
    }
    await assert.rejects(ask('get_chat', { id: 999_999 }), refused('chat_not_found'))
  })

  test('list_chats pages through all', async () => {
    const seen = []
    let after
    do {
      const page = await ask('list_chats', { limit: 2, order: 'asc', ...(after && { after }) })
      assert.equal(page.count, page.data.length)
      seen.push(...page.data.map(({ id }) => id))
      after = page.cursor.after
    } while (after)
    assert.ok(seen.includes(chat))
    const own = await ask('list_chats', { userId: user })
    assert.deepEqual(own.data.map(({ id }) => id), [chat])
    await assert.rejects(ask('list_chats', { limit: 101 }), refused('bad_request'))
  })

  test('get_messages gives the newest first, or as asked', async () => {
    const { data } = await ask('get_messages', { chatId: chat, limit: 3, order: 'asc' })
    assert.deepEqual(data.map(({ message }) => message), ['message 1', 'message 2', 'message 3'])
    const later = await ask('get_messages', { chatId: chat, afterSeq: 3, beforeSeq: 5, order: 'asc' })
    assert.deepEqual(later.data.map(({ seq }) => seq), [4])
    await assert.rejects(ask('get_messages', { chatId: 999_999 }), refused('chat_not_found'))
  })

  test('send_message speaks as a bot, reaches the customer, and is stored once', async () => {
    const said = { chatId: chat, message: 'I am a machine', clientId: 'm-1', author: { role: 'bot', name: 'helper', nickname: 'Helper' } }
    const first = await ask('send_message', said)
    assert.deepEqual([first.chatId, first.clientId, first.duplicate], [chat, 'm-1', false])
    const { data } = await client.next('receive_message')
    assert.deepEqual([data.id, data.message, data.author.role, data.author.nickname], [first.id, 'I am a machine', 'bot', 'Helper'])
    const again = await ask('send_message', said)
    assert.deepEqual([again.id, again.seq, again.duplicate], [first.id, first.seq, true])
    const [{ data: event }] = await service.news.read((e) => e.data.payload.message?.id === first.id)
    assert.equal(event.payload.message.author.role, 'bot')
    await assert.rejects(ask('send_message', { ...said, message: 'another text' }), refused('client_id_reused'))
    await assert.rejects(ask('send_message', { chatId: chat, message: ' ' }), refused('bad_request'))
    await assert.rejects(ask('send_message', { chatId: chat, message: 'late', expectSeq: 1 }), refused('chat_moved'))
  })

  test('send_message with a userId finds, or makes, the support chat', async () => {
    const sent = await ask('send_message', { userId: user, message: 'to your own chat', author: { role: 'system' } })
    assert.equal(sent.chatId, chat)
    await client.find(({ event, data }) => event === 'receive_message' && data.id === sent.id, 'the message')
  })

  test('is_online tells who is connected', async () => {
    assert.deepEqual(await ask('is_online', { userId: user }), { userId: user, online: true })
    const other = await server.connect('lou')
    const { id } = other.welcome.user
    await other.close()
    await until(() => ask('is_online', { userId: id }), ({ online }) => !online)
  })

  test('push reaches a user, a session or everybody, and no other', async () => {
    const other = await server.connect('max')
    assert.deepEqual(await ask('push', { event: 'offer', data: { percent: 5 }, userId: user }), {})
    assert.deepEqual((await client.next('offer')).data, { percent: 5 })
    await ask('push', { event: 'wink', data: [1], sessionId: other.welcome.sessionId })
    assert.deepEqual((await other.next('wink')).data, [1])
    await ask('push', { event: 'closing', data: null, all: true })
    await Promise.all([client.next('closing'), other.next('closing')])
    assert.ok(!other.has('offer') && !client.has('wink'))
    await assert.rejects(ask('push', { event: 'receive_message', data: {}, all: true }), refused('bad_request'))
    await assert.rejects(ask('push', { event: 'x', userId: user, all: true }), refused('bad_request'))
    await other.close()
  })

  test('an unknown pattern is answered as NestJS does, and the queue goes on', async () => {
    await assert.rejects(ask('no_such_command', {}), (error) => {
      const said = typeof error === 'string' ? error : error.message
      assert.equal(said, 'There is no matching message handler defined in the remote service.')
      return true
    })
    assert.equal((await ask('get_user', { id: user })).id, user)
  })

  test('a hundred at once are each answered with their own', async () => {
    const found = await Promise.all(Array.from({ length: 100 }, (_, i) => i % 2 ? ask('get_user', { id: user }) : ask('get_chat', { id: chat })))
    found.forEach((answer, i) => assert.equal(answer.id, i % 2 ? user : chat))
  })
})

describe(`the gateway, with NestJS ${version}`, () => {
  let client, other, chat, user
  before(async () => {
    client = await server.connect('gil')
    other = await server.connect('gus')
    chat = client.welcome.chats[0].id
    user = client.welcome.user.id
  })
  after(() => Promise.all([client.close(), other.close()]))

  test("a client's event reaches the service, and the answer that socket alone", async () => {
    assert.deepEqual(await client.acked('send', { room: 1, text: 'hi', deep: { a: [1, null] } }), {})
    const { data } = await client.next('recv')
    assert.deepEqual(data, {
      heard: { room: 1, text: 'hi', deep: { a: [1, null] } },
      from: { socket_id: client.welcome.sessionId, websocket_service: 'frontdesk', userId: user, chatId: chat },
    })
    assert.ok(!other.has('recv'))
  })

  test('metadata cannot be forged', async () => {
    const forged = { socket_id: other.welcome.sessionId, userId: 1 }
    await client.acked('send', { metadata: forged })
    assert.deepEqual((await client.next('recv')).data.from.socket_id, client.welcome.sessionId)
    client.socket.send(`{"event":"send","data":{"met\\u0061data":${JSON.stringify(forged)},"metadata":1}}`)
    const { data } = await client.next('recv')
    assert.deepEqual([data.heard, data.from.userId], [{}, user])
    assert.ok(!other.has('recv'))
  })

  test('partial answers come in the order in which they were sent', async () => {
    const words = Array.from({ length: 40 }, (_, i) => `w${i}`)
    await client.acked('ask', { words })
    for (let length = 1; length <= words.length; length++) {
      assert.deepEqual((await client.next('recv')).data, { text: words.slice(0, length).join(' ') })
    }
  })

  test("a request's answer is the ack", async () => {
    assert.deepEqual(await client.acked('quote', { article: 7 }), { article: 7, price: 12.5, for: user })
    assert.equal(await client.acked('nothing', {}), null)
    assert.equal(await client.acked('silence', {}), null)
    assert.equal(await client.acked('count', {}), 3, 'of several answers the last')
  })

  test("a service's error is an exception with its message, and nothing secret", async () => {
    const errors = {
      'refuse': 'we are closed',
      'refuse at length': 'we are closed on Sundays',
      'break': 'Internal server error',
      'unheard of': 'There is no matching message handler defined in the remote service.',
    }
    for (const [event, message] of Object.entries(errors)) {
      const { event: kind, data } = await client.request(event, {})
      assert.deepEqual([kind, data.code, data.message, data.event], ['exception', 'bad_request', message, event])
    }
  })

  test('what nobody takes is unavailable', async () => {
    const { event, data } = await client.request('lost', {})
    assert.deepEqual([event, data.code], ['exception', 'unavailable'])
  })

  test('rights, form and chats are checked before a service hears of it', async () => {
    const boss = await server.connect('bea', 'admin')
    const code = async (who, event, data) => (await who.request(event, data)).data.code
    assert.equal(await code(boss, 'quote', {}), 'forbidden')
    assert.equal(await code(client, 'send', [1]), 'bad_request')
    assert.equal(await code(client, 'send', { chatId: other.welcome.chats[0].id }), 'chat_not_found')
    assert.equal(await code(client, 'send', { text: 'x'.repeat(70_000) }), 'too_large')
    await boss.acked('send', { chatId: chat })
    assert.equal((await boss.next('recv')).data.from.chatId, chat)
    assert.ok(!client.has('recv'))
    await boss.close()
  })
})

describe(`users of other services, with NestJS ${version}`, () => {
  test('who is created, updated and blocked there is so here', async () => {
    await emit(service.users, 'user.created', { id: 4711, nickname: 'Kimberly', email: 'k@example.org' })
    const user = await until(() => ask('get_user', { subject: '4711' }).catch(() => undefined), Boolean)
    assert.equal(user.nickname, 'Kimberly')
    await emit(service.users, 'user.updated', { id: 4711, nickname: 'Kay' })
    await until(() => ask('get_user', { id: user.id }), ({ nickname }) => nickname === 'Kay')
    const client = await server.connect('4711')
    assert.equal(client.welcome.user.id, user.id)
    await emit(service.users, 'user.blocked', { id: 4711 })
    assert.equal(await client.closed, 4410)
    assert.equal((await server.http(client.token, 'GET', '/users/me')).status, 403)
  })

  test('a poisoned event is put aside with its reason, and the next is taken', async () => {
    await emit(service.users, 'user.created', { nickname: 'nobody' })
    await put(built, `${prefix}users`, '{"pattern":')
    await emit(service.users, 'user.created', { id: 4712, nickname: 'Next' })
    const user = await until(() => ask('get_user', { subject: '4712' }).catch(() => undefined), Boolean)
    assert.equal(user.nickname, 'Next')
    const first = await take(built, `${prefix}frontdesk.dead`)
    assert.deepEqual(JSON.parse(first.text), { pattern: 'user.created', data: { nickname: 'nobody' } })
    assert.equal(first.headers['x-frontdesk-queue'], `${prefix}users`)
    assert.ok(first.headers['x-frontdesk-reason'].length > 0)
    const second = await take(built, `${prefix}frontdesk.dead`)
    assert.equal(second.text, '{"pattern":')
  })
})
