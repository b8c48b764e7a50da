// Edges of a conversation: other users of one page, refusals that pass, and addresses.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { WebSocketServer } from 'ws'
import { Server } from '../../nodejs/server.mjs'
import { within } from '../../nodejs/within.mjs'
import { Chats, Emitter, Frontdesk, FrontdeskError, Person } from '../kit/people.mjs'

describe('the same page', { concurrency: true }, () => {
  let server
  before(async () => (server = await Server.start({ LIMITS__LEEWAY_SECONDS: '0' })))
  after(() => server.stop())

  it('another agent of it reads the chats that were open', async () => {
    const kim = new Person(server, 'kim')
    const { id } = await kim.follow()
    await kim.desk.support().send('hello').stored
    let subject = 'ada'
    const agent = new Person(server, '', { token: () => server.token(subject, { role: 'admin', seconds: 2 }) })
    const chat = await agent.follow(id)
    subject = 'bo'
    await agent.until(() => agent.desk.user?.nickname === 'bo', 'other agent')
    await agent.until(() => chat.ready && chat.messages.length === 1, 'the chat, read anew')
    await Promise.all([kim.desk.close(), agent.desk.close()])
  })
})

/** A server that answers as it is told, and says what it was asked. */
async function scripted(answer) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const asked = []
  server.on('connection', (socket, { url }) => {
    asked.push(url)
    socket.on('message', (text) => {
      const { event, data, id } = JSON.parse(text)
      asked.push(event)
      const say = (event, data) => socket.send(JSON.stringify({ event, data, id }))
      const refusal = answer(event, data, say, asked)
      if (refusal) say('exception', { status: 'error', code: refusal, message: refusal, event })
    })
  })
  return { asked, url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() }
}

const CHAT = { id: 1, lastSeq: 0, readSeq: 0, unread: 0, online: [], reads: [] }
const ENTERED = { chatId: 1, replayed: 0, replayedTo: 0, truncated: false, reset: false }
const MESSAGE = {
  id: 1,
  kind: 'text',
  author: { id: 9, nickname: null, role: 'customer' },
  message: 'hello',
  clientId: 'c',
  createdAt: '',
}
const WELCOME = {
  sessionId: 's',
  protocol: 1,
  user: { id: 7, role: 'admin', nickname: null },
  chats: [],
  serverTime: new Date().toISOString(),
  heartbeatMs: 25_000,
  tokenExpiresAt: new Date(Date.now() + 3_600_000).toISOString(),
  limits: { frameBytes: 131_072, messageChars: 8_000, messagesPerSecond: 20, burst: 200 },
}
const welcome = (event, data, say) => {
  if (event === 'authenticate') {
    say('welcome', WELCOME)
    say('ack', { expiresAt: WELCOME.tokenExpiresAt })
  }
}

describe('a refusal that passes', { concurrency: true }, () => {
  it('a chat that cannot be entered now is entered a little later', async () => {
    let busy = 2
    const server = await scripted((event, data, say) => {
      if (event === 'enter_chat' && busy-- > 0) return 'unavailable'
      if (event === 'enter_chat') say('ack', { chats: [{ ...CHAT, ...ENTERED }] })
      return welcome(event, data, say)
    })
    const ada = new Person({ url: server.url, token: () => 't' }, 'ada')
    await ada.follow(1)
    await ada.desk.close()
    server.stop()
  })

  it('a mark that cannot be stored now is sent again', async () => {
    let busy = 1
    const server = await scripted((event, data, say) => {
      if (event === 'read_message' && busy-- > 0) return 'unavailable'
      if (event === 'read_message') say('ack', { readSeq: data.seq, unread: 0 })
      if (event === 'enter_chat') {
        if (data.chats) say('receive_message', { ...MESSAGE, chatId: 1, seq: 1 })
        say('ack', { chats: [{ ...CHAT, ...ENTERED, lastSeq: 1, unread: 1 }] })
      }
      if (event === 'read_message') say('marked', {})
      return welcome(event, data, say)
    })
    const ada = new Person({ url: server.url, token: () => 't' }, 'ada')
    const chat = await ada.follow(1)
    chat.read()
    await ada.until(() => server.asked.filter((event) => event === 'read_message').length === 2, 'a second try')
    await ada.desk.close()
    server.stop()
  })

  it('watching that cannot begin now begins a little later', async () => {
    let busy = 1
    const server = await scripted((event, data, say) => {
      if (event === 'watch_chats' && busy-- > 0) return 'rate_limited'
      if (event === 'watch_chats') say('ack', {})
      if (event === 'watch_chats') say('watched', {})
      return welcome(event, data, say)
    })
    const ada = new Person({ url: server.url, token: () => 't' }, 'ada')
    await ada.desk.watch(true)
    await ada.until(() => server.asked.filter((event) => event === 'watch_chats').length === 2, 'a second try')
    await ada.desk.close()
    server.stop()
  })

  it('a message that is stored before its chat is entered is in the list once at every moment', async () => {
    const server = await scripted((event, data, say) => {
      if (event === 'send_message')
        say('ack', { id: 1, chatId: 1, seq: 1, createdAt: WELCOME.serverTime, duplicate: false })
      return welcome(event, data, say)
    })
    const ada = await new Person({ url: server.url, token: () => 't' }, 'ada').online()
    const chat = ada.desk.chat(1)
    const seen = []
    chat.on('change', () => seen.push(chat.messages.length))
    await within(chat.send('hello').stored, () => 'receipt')
    await ada.desk.close()
    assert.deepEqual([...new Set(seen)], [1])
    server.stop()
  })

  it('an event that this client does not know is passed on, of a chat that it follows too', async () => {
    const server = await scripted((event, data, say) => {
      if (event === 'enter_chat') say('ack', { chats: [{ ...CHAT, ...ENTERED }] })
      if (event === 'ping') say('reacted', { chatId: 1 })
      return welcome(event, data, say)
    })
    const ada = new Person({ url: server.url, token: () => 't' }, 'ada')
    await ada.follow(1)
    const heard = new Promise((resolve) => ada.desk.on('event', resolve))
    ada.desk.request('ping').catch(() => undefined)
    assert.deepEqual(await within(heard, () => 'event'), { event: 'reacted', data: { chatId: 1 } })
    await ada.desk.close()
    server.stop()
  })
})

describe('an address', () => {
  it('may have a path, and socket and requests hang below it', async () => {
    const server = await scripted(welcome)
    const fetched = []
    const fetch = async (url) => fetched.push(`${url}`) && new Response('{}')
    for (const path of ['/support', '/support/']) {
      const desk = await new Person({ url: server.url + path, token: () => 't' }, 'ada', { fetch }).online()
      await desk.desk.fetch('/chats')
      await desk.desk.close()
    }
    assert.deepEqual(
      server.asked.filter((at) => at.startsWith('/')),
      ['/support/ws', '/support/ws'],
    )
    assert.deepEqual(fetched, [`${server.url}/support/chats`, `${server.url}/support/chats`])
    server.stop()
  })

  it('a request to another host is refused, since it would carry the token', async () => {
    const server = await scripted(welcome)
    const fetched = []
    const fetch = async (url) => fetched.push(`${url}`) && new Response('{}')
    const { desk } = await new Person({ url: server.url, token: () => 't' }, 'ada', { fetch }).online()
    for (const path of ['https://other.example/chats', '@other.example/chats', 'chats']) {
      await assert.rejects(desk.fetch(path), { code: 'bad_request' })
    }
    await desk.fetch('//other.example/chats')
    assert.deepEqual(fetched, [`${server.url}//other.example/chats`])
    await desk.close()
    server.stop()
  })

  it('a runtime without WebSocket is told so', { skip: Boolean(globalThis.WebSocket) }, () => {
    assert.throws(() => new Frontdesk({ url: 'http://127.0.0.1:9', token: () => 't' }), TypeError)
  })

  it('a WebSocket that cannot be made is a broken line', async () => {
    class Refusing {
      constructor() {
        throw new Error('mixed content')
      }
    }
    const kim = new Person({ url: 'http://127.0.0.1:9', token: () => 't' }, 'kim', { WebSocket: Refusing })
    await kim.until(() => kim.desk.state.state === 'waiting', 'pause')
    await kim.desk.close()
  })
})

/** Chats by number, of which the lower ones have changed later; pages of them as the server gives them. */
class Pages extends Emitter {
  state = { state: 'online' }
  changes = new Map(Array.from({ length: 200 }, (_, id) => [id, 200 - id]))
  fails = () => false

  async watch() {}

  async fetch(path) {
    const after = Number(/after=(\d+)/.exec(path)?.[1] ?? 0)
    if (this.fails(after)) throw new FrontdeskError('disconnected', '')
    const all = [...this.changes].sort(([, a], [, b]) => b - a).map(([id, minute]) => this.chat(id, minute))
    return { data: all.slice(after, after + 50), cursor: { after: after + 50 < all.length ? `${after + 50}` : null } }
  }

  chat(id, minute) {
    return { id, updatedAt: new Date(minute * 60_000).toISOString() }
  }

  become(state) {
    this.state = { state }
    this.emit('state', this.state)
  }

  push(id, minute) {
    this.changes.set(id, minute)
    this.emit('chat_updated', this.chat(id, minute))
  }
}

describe('a list', () => {
  const changed = (chats, holds) =>
    within(
      new Promise((resolve) => {
        const look = () => holds() && resolve()
        chats.on('change', look)
        look()
      }),
      () => 'change of the list',
    )

  it('is whole after a break in the middle of its repair', async () => {
    const desk = new Pages()
    const chats = new Chats(desk)
    await changed(chats, () => chats.ready)
    while (chats.hasMore) await chats.more()
    desk.become('waiting')
    for (let id = 50; id < 200; id++) desk.changes.set(id, 1_000 + id)
    desk.fails = (after) => after === 50
    desk.become('online')
    await changed(chats, () => chats.items[0].id === 199)
    desk.become('waiting')
    desk.fails = () => false
    desk.become('online')
    await changed(chats, () => chats.items.slice(0, 150).every(({ id }, at) => id === 199 - at))
    chats.close()
  })

  it('is begun before there is a connection, goes on when there is, and is nobody else’s', async () => {
    const desk = new Pages()
    desk.state = { state: 'connecting' }
    const chats = new Chats(desk)
    await changed(chats, () => chats.items.length > 0)
    assert.equal(chats.ready, false)
    // Changed before the server was asked for changes: no push tells of it.
    desk.changes.set(7, 5_000)
    desk.emit('user', { id: 1 })
    assert.ok(chats.items.length > 0, 'the first user is the one whose token it was')
    desk.become('online')
    await changed(chats, () => chats.ready)
    assert.equal(chats.items[0].id, 7)
    desk.emit('user', null)
    assert.equal(chats.items.length, 0)
    chats.close()
  })

  it('can be read to its end, if its first page was lost while a change was pushed', async () => {
    const desk = new Pages()
    desk.fails = () => true
    const chats = new Chats(desk)
    desk.push(150, 5_000)
    desk.become('waiting')
    desk.fails = () => false
    desk.become('online')
    await changed(chats, () => chats.ready)
    while (chats.hasMore) await chats.more()
    assert.equal(chats.items.length, 200)
    chats.close()
  })
})
