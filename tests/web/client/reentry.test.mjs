// Listeners that act on the client while it tells them something.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Proxy } from '../../nodejs/proxy.mjs'
import { Server } from '../../nodejs/server.mjs'
import { within } from '../../nodejs/within.mjs'
import { Person, pair, texts } from '../kit/people.mjs'

describe('a listener', { concurrency: true }, () => {
  for (const when of ['connecting', 'online', 'waiting']) {
    it(`that closes the client has closed it: its program ends by itself: ${when}`, async () => {
      const program = `
        const { WebSocketServer, WebSocket } = await import('ws')
        const { Frontdesk } = await import(process.env.CLIENT)
        const welcome = {
          user: { id: 1, role: 'customer', nickname: null }, chats: [], heartbeatMs: 25000,
          serverTime: new Date().toISOString(), tokenExpiresAt: '2099-01-01T00:00:00.000Z',
          limits: { messageChars: 8000 },
        }
        const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
        server.on('connection', (socket) => {
          socket.send(JSON.stringify({ event: 'welcome', data: welcome }))
          socket.on('message', () => socket.terminate())
        })
        await new Promise((resolve) => server.on('listening', resolve))
        const url = 'http://127.0.0.1:' + server.address().port
        const desk = new Frontdesk({ url, token: () => 'token', WebSocket })
        desk.on('state', async ({ state }) => {
          if (state !== process.env.WHEN) return
          await desk.close()
          server.close()
        })
        process.on('exit', () => console.log(desk.state.state))`
      const env = { ...process.env, WHEN: when, CLIENT: join(process.env.FRONTDESK_WEB, 'client/frontdesk.js') }
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
        env,
        cwd: join(import.meta.dirname, '..'),
      })
      let printed = ''
      child.stdout.on('data', (chunk) => (printed += chunk))
      child.stderr.on('data', (chunk) => (printed += chunk))
      await within(new Promise((resolve) => child.once('exit', resolve)), () => `end; it printed ${printed}`)
      assert.equal(printed, 'closed\n')
    })
  }

  it('that reconnects at once is not disconnected by the pause that it has cut short', async () => {
    const server = await Server.start({ LIMITS__PRESENCE_GRACE_MS: '1500' })
    const proxy = await Proxy.to(server.port)
    const kim = new Person(server, 'kim')
    const { id } = await kim.follow()
    const ada = new Person(server, 'ada', { role: 'admin', url: proxy.url })
    const chat = await ada.follow(id)
    ada.desk.on('state', ({ state }) => state === 'waiting' && ada.desk.reconnect())
    proxy.cut()
    await ada.until(() => ada.desk.state.state === 'connecting', 'break')
    await ada.until(() => ada.desk.state.state === 'online', 'connection')
    const own = kim.desk.user.id
    await ada.until(() => chat.online.includes(own), 'presence')
    const before = ada.states.length
    // The server tells of it later than the pause would have ended.
    await kim.desk.close()
    await ada.until(() => !chat.online.includes(own), 'absence')
    assert.equal(ada.states.length, before, ada.states.join())
    await ada.desk.close()
    proxy.stop()
    await server.stop()
  })
})

describe('a chat that was left', () => {
  it('has no message that waits for ever, when it is asked for again', async () => {
    const server = await Server.start()
    const { kim, chat, ada, theirs, end } = await pair(server, 'kim')
    const sent = theirs.send('before')
    const left = theirs.leave()
    await sent.stored
    await left
    for (let at = 0; at < 60; at++) await chat.send(`${at}`).stored
    ada.desk.chat(chat.id)
    await ada.until(() => theirs.ready && theirs.lastSeq === 61, 'chat')
    assert.equal(theirs.messages.filter(({ state }) => state !== 'stored').length, 0, texts(theirs).join())
    assert.equal(kim.errors.length, 0)
    await end()
    await server.stop()
  })
})
