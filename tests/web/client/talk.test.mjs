// The client beside the real server: what its users see of a conversation.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Proxy } from '../../nodejs/proxy.mjs'
import { Server } from '../../nodejs/server.mjs'
import { within } from '../../nodejs/within.mjs'
import { Chats, Person, logOf, pair, texts } from '../kit/people.mjs'

describe('a conversation', { concurrency: true }, () => {
  let server
  before(async () => (server = await Server.start()))
  after(() => server.stop())

  it('a message is shown at once, and is stored in its place', async () => {
    const { kim, chat, ada, theirs, end } = await pair(server, 'shown')
    const sent = chat.send('hello')
    assert.deepEqual(texts(chat), ['[hello]'])
    assert.equal(sent.state, 'pending')
    const { seq, duplicate } = await sent.stored
    assert.deepEqual([seq, duplicate], [1, false])
    await ada.until(() => theirs.messages.length === 1, 'message')
    const [own] = chat.messages
    assert.deepEqual([own.key, own.state, own.own, own.author.nickname], [sent.key, 'stored', true, 'shown'])
    const [heard] = theirs.messages
    assert.deepEqual([heard.seq, heard.own, heard.message], [1, false, 'hello'])
    theirs.send('how can I help?')
    await kim.until(() => chat.messages.length === 2, 'answer')
    assert.deepEqual(texts(chat), ['hello', 'how can I help?'])
    await end()
  })

  it('messages that are typed in a row are stored in that order', async () => {
    const { chat, ada, theirs, end } = await pair(server, 'typed')
    const typed = Array.from({ length: 50 }, (_, at) => `${at}`)
    await Promise.all(typed.map((text) => chat.send(text).stored))
    await ada.until(() => theirs.messages.length === 50, 'messages')
    for (const view of [chat, theirs]) assert.deepEqual(texts(view), typed)
    await end()
  })

  it('news is told once each, and what was there before is no news', async () => {
    const { chat, end } = await pair(server, 'news')
    for (const text of ['one', 'two']) await chat.send(text).stored
    const late = new Person(server, 'news')
    const view = late.desk.support()
    late.chats = [view]
    const news = []
    view.on('message', ({ message }) => news.push(message))
    await late.until(() => view.ready, 'chat')
    assert.deepEqual(texts(view), ['one', 'two'])
    await chat.send('three').stored
    await late.until(() => view.messages.length === 3, 'message')
    assert.deepEqual(news, ['three'])
    await Promise.all([late.desk.close(), end()])
  })

  it('a mark is shown to the other, and on the other device', async () => {
    const { kim, chat, ada, theirs, end } = await pair(server, 'mark')
    const phone = new Person(server, 'mark')
    const onPhone = await phone.follow()
    theirs.send('one')
    await theirs.send('two').stored
    await kim.until(() => chat.unread === 2, 'unread')
    await phone.until(() => onPhone.unread === 2, 'unread')
    chat.read(1)
    assert.equal(chat.unread, 1)
    chat.read()
    await ada.until(() => theirs.reads.get(kim.desk.user.id) === 2, 'mark')
    await phone.until(() => onPhone.unread === 0, 'mark')
    chat.read(1)
    assert.equal(chat.readSeq, 2, 'a mark only grows')
    await Promise.all([phone.desk.close(), end()])
  })

  it('typing and presence are shown to the other', async () => {
    const { kim, chat, ada, theirs, end } = await pair(server, 'typing')
    const own = () => kim.desk.user.id
    chat.typing()
    await ada.until(() => theirs.typists.includes(own()), 'typing')
    chat.send('done')
    await ada.until(() => theirs.typists.length === 0, 'end of the typing')
    assert.ok(theirs.online.includes(own()))
    await end()
  })

  it('a long chat is trimmed to its latest messages, and the others can be read again', async () => {
    const { kim, chat, end } = await pair(server, 'trimmed')
    for (let at = 1; at <= 360; at++) chat.send(`${at}`)
    await chat.messages.at(-1).stored
    await kim.until(() => chat.messages.at(-1).state === 'stored', 'the last message')
    chat.trim()
    assert.deepEqual([chat.messages.length, chat.messages[0].message, chat.hasOlder], [300, '61', true])
    assert.equal(await chat.older(), 50)
    chat.trim()
    assert.equal(chat.messages.length, 350, 'a few more are kept')
    assert.equal(await chat.older(), 10)
    assert.deepEqual(
      texts(chat),
      Array.from({ length: 360 }, (_, at) => `${at + 1}`),
    )
    await end()
  })

  it('older messages come page by page, each once', async () => {
    const { kim, chat, end } = await pair(server, 'older')
    for (let at = 1; at <= 120; at++) chat.send(`${at}`)
    await chat.messages.at(-1).stored
    const late = new Person(server, 'older')
    const view = await late.follow()
    assert.deepEqual([view.messages.length, view.hasOlder], [50, true])
    assert.deepEqual(await Promise.all([view.older(), view.older()]), [50, 50], 'one page for both')
    assert.equal(await view.older(), 20)
    assert.equal(view.hasOlder, false)
    assert.equal(await view.older(), 0)
    assert.deepEqual(
      texts(view),
      Array.from({ length: 120 }, (_, at) => `${at + 1}`),
    )
    await Promise.all([late.desk.close(), end()])
    assert.equal(kim.errors.length, 0)
  })

  it('a message that cannot be sent is refused in words, before it is anywhere', async () => {
    const { chat, end } = await pair(server, 'refused')
    for (const [text, code] of [
      ['  ', 'bad_request'],
      ['x'.repeat(8_001), 'too_large'],
      ['a\0', 'bad_request'],
    ]) {
      assert.throws(() => chat.send(text), { code })
    }
    chat.send('\u{1F600}'.repeat(8_000))
    assert.equal(chat.messages.length, 1)
    await end()
  })

  it('what a later message has overtaken is left to its author, and what follows goes on', async () => {
    const { chat, theirs, ada, end } = await pair(server, 'moved')
    await chat.send('one').stored
    await ada.until(() => theirs.messages.length === 1, 'message')
    const answer = theirs.send('an answer', { expectSeq: 0 })
    await assert.rejects(answer.stored, { code: 'chat_moved' })
    await theirs.send('the next').stored
    assert.deepEqual(texts(theirs), ['one', 'the next', '[an answer]'])
    const failed = theirs.messages.at(-1)
    assert.deepEqual([failed.state, failed.error.code], ['failed', 'chat_moved'])
    failed.remove()
    assert.deepEqual(texts(theirs), ['one', 'the next'])
    await end()
  })

  it('a group chat is made, and its members hear of it', async () => {
    const kim = await new Person(server, 'member').online()
    const ada = await new Person(server, 'ada', { role: 'admin' }).online()
    const created = new Promise((resolve) => kim.desk.on('chat_created', resolve))
    const group = await ada.desk.createChat({ userIds: [kim.desk.user.id], title: 'Returns' })
    assert.equal((await within(created, () => 'chat_created')).id, group.id)
    const view = await kim.follow(group.id)
    await group.send('welcome').stored
    await kim.until(() => view.messages.length === 1, 'message')
    // The own chat is found beside it.
    const own = await kim.follow()
    assert.notEqual(own.id, group.id)
    await Promise.all([kim.desk.close(), ada.desk.close()])
  })

  it('agents see who views a chat', async () => {
    const { chat, ada, theirs, end } = await pair(server, 'viewed')
    const bo = new Person(server, 'bo', { role: 'admin' })
    const view = await bo.follow(chat.id)
    await ada.desk.view(chat.id)
    await bo.until(() => view.viewers.some(({ nickname }) => nickname === 'ada'), 'viewer')
    await ada.desk.view(null)
    await bo.until(() => view.viewers.length === 0, 'no viewer')
    assert.ok(theirs.ready)
    await Promise.all([bo.desk.close(), end()])
  })
})

describe('a connection', { concurrency: true }, () => {
  let server
  before(async () => (server = await Server.start({ LIMITS__REPLAY: '5', LIMITS__LEEWAY_SECONDS: '0' })))
  after(() => server.stop())

  it('what was missed comes in order, however much it is', async () => {
    const proxy = await Proxy.to(server.port)
    const { kim, chat, theirs, end } = await pair(server, 'missed', { url: proxy.url })
    proxy.shut()
    await kim.until(() => kim.desk.state.state === 'waiting', 'break')
    for (let at = 0; at < 23; at++) theirs.send(`${at}`)
    await theirs.messages.at(-1).stored
    const news = []
    chat.on('message', ({ message }) => news.push(message))
    proxy.isShut = false
    kim.desk.reconnect()
    await kim.until(() => chat.messages.length === 23, 'messages')
    assert.deepEqual(
      news,
      Array.from({ length: 23 }, (_, at) => `${at}`),
    )
    await end()
    proxy.stop()
  })

  it('what is written without a line goes out once', async () => {
    const proxy = await Proxy.to(server.port)
    const { kim, chat, end } = await pair(server, 'written', { url: proxy.url })
    // The answer is lost: the server has the message, and the client cannot know.
    proxy.hold()
    chat.send('one')
    await proxy.said('"ack"')
    proxy.shut()
    await kim.until(() => kim.desk.state.state === 'waiting', 'break')
    chat.send('two')
    assert.deepEqual(texts(chat), ['[one]', '[two]'])
    proxy.isShut = false
    kim.desk.reconnect()
    await kim.until(() => chat.messages.every(({ state }) => state === 'stored'), 'messages')
    assert.deepEqual(texts(chat), ['one', 'two'])
    assert.deepEqual(
      (await logOf(server, chat.id)).map(({ message }) => message),
      ['one', 'two'],
    )
    await end()
    proxy.stop()
  })

  it('a token is renewed over the open connection', async () => {
    const token = () => server.token('renewed', { seconds: 4 })
    const kim = new Person(server, 'renewed', { token })
    await kim.follow()
    await within(
      new Promise((resolve) => {
        const look = setInterval(
          () => kim.asked.filter((reason) => reason === 'renew').length > 2 && resolve(clearInterval(look)),
          50,
        )
      }),
      () => 'renewals',
    )
    assert.deepEqual(kim.states, ['connecting', 'online'])
    await kim.desk.close()
  })

  it('a callback without a token signs out, and keeps what is written', async () => {
    let given = server.token('signed', { seconds: 2 })
    const token = () => {
      if (!given) throw new Error('signed out')
      const once = given
      given = null
      return once
    }
    const kim = new Person(server, 'signed', { token })
    const chat = await kim.follow()
    await kim.until(() => kim.desk.state.state === 'signed-out', 'end of the token')
    chat.send('later')
    assert.deepEqual(texts(chat), ['[later]'])
    given = server.token('signed')
    kim.desk.reconnect()
    await kim.until(() => chat.messages[0]?.state === 'stored', 'message')
    await kim.desk.close()
  })

  it('a callback whose network fails is asked again', async () => {
    let fails = 2
    const token = () => {
      if (fails-- > 0) throw new TypeError('fetch failed')
      return server.token('network')
    }
    const kim = await new Person(server, 'network', { token }).online()
    assert.deepEqual(
      kim.states.filter((state) => state !== 'connecting'),
      ['waiting', 'waiting', 'online'],
    )
    await kim.desk.close()
  })

  it('a token that is refused is asked for anew, and not for ever', async () => {
    const expired = () => server.token('expired', { seconds: -60 })
    const kim = new Person(server, 'expired', { token: expired })
    await kim.until(() => kim.desk.state.state === 'signed-out', 'end')
    assert.deepEqual([kim.desk.state.reason, kim.asked], ['token_expired', ['connect', 'refused', 'refused']])
    await kim.desk.close()
  })

  it('a blocked user is told so, and stays away', async () => {
    const { kim, ada, end } = await pair(server, 'blocked')
    await ada.desk.fetch(`/users/${kim.desk.user.id}/block`, { method: 'POST' })
    await kim.until(() => kim.desk.state.state === 'blocked', 'end')
    await kim.desk.reconnect()
    await kim.until(() => kim.states.filter((state) => state === 'blocked').length === 2, 'refusal')
    await end()
  })

  it('another user of the same page sees nothing of the one before', async () => {
    let subject = 'first'
    const kim = new Person(server, '', { token: () => server.token(subject, { seconds: 2 }) })
    const chat = await kim.follow()
    const { id } = chat
    await chat.send('of the first').stored
    subject = 'second'
    await kim.until(() => kim.desk.user?.nickname === 'second', 'other user')
    await kim.until(() => chat.ready && chat.id !== id, 'their chat')
    assert.deepEqual(texts(chat), [])
    await kim.desk.close()
  })
})

describe('a page whose user changes', () => {
  it('what is written from then on goes out as the new user, and never over the session of the former', async () => {
    const server = await Server.start({ LIMITS__LEEWAY_SECONDS: '0' })
    let subject = 'former'
    const kim = new Person(server, '', { token: () => server.token(subject, { seconds: 3 }) })
    const chat = await kim.follow()
    const { id } = chat
    kim.desk.on('user', (user) => !user && chat.send('of the new one'))
    subject = 'new'
    await kim.until(() => chat.messages[0]?.state === 'stored', 'message')
    assert.equal(kim.desk.user.nickname, 'new')
    assert.notEqual(chat.id, id)
    assert.deepEqual(await logOf(server, id), [])
    assert.deepEqual((await logOf(server, chat.id)).map(({ message, author }) => [message, author.nickname]), [
      ['of the new one', 'new'],
    ])
    await kim.desk.close()
    await server.stop()
  })
})

describe('a server', () => {
  it('a user with too many windows is told which one was replaced', async () => {
    const server = await Server.start({ LIMITS__SESSIONS_PER_USER: '1' })
    const one = await new Person(server, 'kim').online()
    const two = await new Person(server, 'kim').online()
    await one.until(() => one.desk.state.state === 'replaced', 'end')
    one.desk.reconnect()
    await one.online()
    await two.until(() => two.desk.state.state === 'replaced', 'end')
    await Promise.all([one.desk.close(), two.desk.close()])
    await server.stop()
  })

  it('a database that was restored is read anew', async () => {
    const server = await Server.start()
    const { kim, chat, ada, theirs, end } = await pair(server, 'kim')
    for (const text of ['one', 'two', 'three']) await chat.send(text).stored
    await server.end('SIGKILL')
    for (const suffix of ['', '-wal', '-shm']) await rm(`${server.folder}/server.db${suffix}`, { force: true })
    await server.run()
    let resets = 0
    chat.on('reset', () => resets++)
    for (const person of [kim, ada]) person.desk.reconnect()
    await kim.until(() => resets > 0 && chat.ready && chat.messages.length === 0, 'reset')
    await chat.send('anew').stored
    assert.deepEqual(texts(chat), ['anew'])
    await ada.until(() => theirs.messages.length === 1, 'message')
    await end()
    await server.stop()
  })

  it('a list of chats equals a fresh one after a break', async () => {
    const server = await Server.start()
    const proxy = await Proxy.to(server.port)
    const customers = await Promise.all(
      Array.from({ length: 60 }, async (_, at) => {
        const { body } = await server.http(server.token(`c${at}`), 'POST', '/chats', {})
        return { token: server.token(`c${at}`), id: body.id }
      }),
    )
    const say = ({ token, id }, message) => server.http(token, 'POST', `/chats/${id}/messages`, { message })
    for (const customer of customers) await say(customer, 'hello')
    const ada = new Person(server, 'ada', { role: 'admin', url: proxy.url })
    const chats = new Chats(ada.desk)
    const until = (holds, what) =>
      within(
        new Promise((resolve) => {
          const look = () => holds() && resolve()
          chats.on('change', look)
          look()
        }),
        () => what,
      )
    await until(() => chats.ready, 'list')
    await chats.more()
    assert.deepEqual([chats.items.length, chats.hasMore], [60, false])
    await say(customers[7], 'live')
    await until(() => chats.items[0].lastMessage?.message === 'live', 'live change')
    proxy.shut()
    await ada.until(() => ada.desk.state.state === 'waiting', 'break')
    for (const at of [3, 59, 20]) await say(customers[at], 'missed')
    proxy.isShut = false
    ada.desk.reconnect()
    await until(() => chats.items[0].id === customers[20].id, 'missed changes')
    const bo = await new Person(server, 'bo', { role: 'admin' }).online()
    const fresh = await bo.desk.fetch('/chats?limit=100')
    assert.deepEqual(
      chats.items.map(({ id, lastSeq }) => [id, lastSeq]),
      fresh.data.map(({ id, lastSeq }) => [id, lastSeq]),
    )
    chats.close()
    await Promise.all([ada.desk.close(), bo.desk.close()])
    proxy.stop()
    await server.stop()
  })
})

describe('a closed client', () => {
  it('leaves nothing behind: a program that has closed its client ends by itself', async () => {
    const server = await Server.start()
    const program = `
      const { WebSocket } = await import('ws')
      const { Frontdesk } = await import(process.env.CLIENT)
      const desk = new Frontdesk({ url: process.env.URL, token: () => process.env.TOKEN, WebSocket })
      const chat = desk.support()
      await chat.send('hello').stored
      chat.typing()
      await desk.close()
      chat.typing()
      try { chat.send('late') } catch ({ code }) { console.log(code) }
      process.on('exit', () => console.log('the end'))`
    const env = {
      ...process.env,
      URL: server.url,
      TOKEN: server.token('closing'),
      CLIENT: join(process.env.FRONTDESK_WEB, 'client/frontdesk.js'),
    }
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      env,
      cwd: join(import.meta.dirname, '..'),
    })
    let printed = ''
    child.stdout.on('data', (chunk) => (printed += chunk))
    child.stderr.on('data', (chunk) => (printed += chunk))
    await within(
      new Promise((resolve) => child.once('exit', resolve)),
      () => `end of the program; it printed ${printed}`,
    )
    assert.equal(printed, 'closed\nthe end\n')
    await server.stop()
  })
})
