// Clients of tutorials on NestJS and Socket.IO: the address changed, a token added, and nothing else.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from './kit/client.mjs'
import { Program } from './kit/program.mjs'
import { Server } from '../nodejs/server.mjs'
import { startService } from './kit/service.mjs'
import { within } from '../nodejs/within.mjs'

const prefix = `s${randomBytes(6).toString('hex')}.`
let server, stopService
before(async () => {
  for (const name of ['TUTORIALS_TOML', 'RABBITMQ_URL']) {
    if (!process.env[name]) throw new Error(`${name} is not set: run scripts/test socketio`)
  }
  stopService = await startService(`${prefix}api`, `${prefix}frontdesk.gateway`, ({ prompt }) => ({ text: `You said ${prompt}.` }))
  server = await Server.start({
    RABBITMQ__URL: process.env.RABBITMQ_URL,
    RABBITMQ__PREFIX: prefix,
    RABBITMQ__GATEWAY: JSON.stringify([{ event: 'send', queue: `${prefix}api`, pattern: '{"cmd":"send"}' }]),
  }, process.env.TUTORIALS_TOML)
})
after(async () => {
  await Promise.all([server?.stop(), stopService?.()])
})

const connect = (subject, role, namespace = '/', options = {}) =>
  Client.connect('4.8', 'upgrade', server.url + namespace, { auth: { token: server.token(subject, { role }) }, ...options })

const post = async (chat, message) =>
  assert.equal((await server.http(server.admin(), 'POST', `/chats/${chat}/messages`, { message })).status, 201)

describe("tutorials' clients", { concurrency: true }, () => {
  test('a gateway: `message`, from and to everybody', async () => {
    // Another device of the same person, without the tutorial's names.
    const phone = await connect('gateway', 'customer')
    const program = await Program.run('gateway.mjs', server.url, server.token('gateway'))
    await program.prints(`Message reçu : { text: 'Hello world!' }`)
    assert.equal((await phone.next('receive_message')).message, 'Hello world!')
    await post(phone.chat, 'Bonjour')
    await program.prints(`Message reçu : { sender: 'ada', text: 'Bonjour' }`)
    await program.stop()
    phone.close()
  })

  test('a gateway: `joinRoom` and `sendToRoom`', async () => {
    const [kim, ada] = await Promise.all([connect('room', 'customer'), connect('room keeper', 'admin')])
    const room = `${kim.chat}`
    for (const client of [kim, ada]) {
      client.socket.emit('joinRoom', room)
      assert.equal(await client.next('joinedRoom'), room)
    }
    kim.socket.emit('sendToRoom', { room, message: 'to the room' })
    assert.deepEqual(await ada.next('message'), { sender: 'room', text: 'to the room' })
    assert.equal((await kim.next('message')).text, 'to the room')
    ada.socket.emit('sendToRoom', { room, message: 'from the room' })
    assert.deepEqual(await kim.next('message'), { sender: 'room keeper', text: 'from the room' })
    kim.close()
    ada.close()
  })

  test('a support chat: `sendMessage`, with the token in the header', async () => {
    const extraHeaders = { Authorization: `Bearer ${server.token('support')}` }
    const [kim, ada] = await Promise.all([connect('-', 'customer', '/', { auth: {}, extraHeaders }), connect('supporter', 'admin')])
    assert.equal(kim.welcome.user.nickname, 'support')
    // A customer needs no room: it is the own chat.
    const sent = await kim.acked('sendMessage', { message: 'help' })
    await ada.acked('sendMessage', { room: sent.chatId, message: 'of course' })
    assert.equal((await kim.next('receive_message')).message, 'of course')
    kim.close()
    ada.close()
  })

  test('Socket.IO by itself: a text, and a text', async () => {
    const phone = await connect('chat', 'customer')
    const program = await Program.run('chat.mjs', server.url, server.token('chat'))
    assert.equal((await phone.next('receive_message')).message, 'this is message for client')
    await post(phone.chat, 'this is message for server')
    await program.prints('this is message for server')
    await program.stop()
    phone.close()
  })

  test('Socket.IO by itself: the namespaces /chat and /noti on one connection', async () => {
    const socket = await connect('spaces', 'customer')
    const others = ['/chat', '/noti'].map((name) => socket.namespace(name, { auth: socket.socket.auth }))
    await Promise.all(others.map((other) => other.isIn()))
    for (const client of [...others, socket]) client.close()
  })

  test('chats: `enter_chat` with a list, `receive_message` with a text, `exception`', async () => {
    const [first, second] = await Promise.all(['first', 'second'].map((name) => connect(name, 'customer', '/chats')))
    const agents = await Promise.all(['one', 'two', 'three'].map((name) => connect(name, 'admin', '/chats')))
    const [one, two, three] = agents
    const rooms = [first.chat, second.chat]
    for (const [agent, list] of [[one, rooms], [two, [rooms[1]]], [three, [rooms[0]]]]) {
      agent.socket.emit('enter_chat', list)
      // Without a callback there is no answer, as in NestJS: the next event's shows that it is done.
      await agent.acked('ping')
    }
    one.socket.emit('send_message', { message: 'hello 1', chatId: rooms[0] })
    assert.equal(await three.next('receive_message'), 'hello 1')
    one.socket.emit('send_message', { message: 'hello 2', chatId: rooms[1] })
    assert.equal(await two.next('receive_message'), 'hello 2')
    assert.ok(!three.has('receive_message') && !one.has('receive_message'))
    one.socket.emit('enter_chat', [999_999])
    assert.equal((await one.next('exception')).status, 'error')
    for (const client of [first, second, ...agents]) client.close()
  })

  test('a gateway over RabbitMQ: `send` and `recv`, in the namespace /main', async () => {
    const socket = await connect('gate', 'customer', '/main')
    const isConnected = async () => {
      while ((await (await fetch(`${server.url}/readyz`)).json()).broker !== 'connected') await sleep(50)
    }
    await within(isConnected(), () => 'connection to the broker')
    socket.socket.emit('send', { prompt: 'hello' })
    assert.deepEqual(await socket.next('recv'), { text: 'You said hello.' })
    socket.close()
  })
})
