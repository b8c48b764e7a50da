// The newest client in a real browser, on a page of another origin.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Browser, serveSite } from './kit/browser.mjs'
import { WAYS } from './kit/client.mjs'
import { Server } from '../nodejs/server.mjs'

let browser, shop, stranger, server
before(async () => {
  [browser, shop, stranger] = await Promise.all([Browser.start(), serveSite(), serveSite()])
  server = await Server.start({ SERVER__ALLOWED_ORIGINS: shop.origin })
})
after(async () => {
  shop?.stop()
  stranger?.stop()
  await Promise.all([browser?.stop(), server?.stop()])
})

/** Number of users with this subject. */
const known = async (subject) =>
  (await server.http(server.admin(), 'GET', `/users?${new URLSearchParams({ subject })}`)).body.count

/** In the page: a conversation as an app has it, and its results. */
const chat = async (url, token, way) => {
  const socket = io(url, { withCredentials: true, auth: { token }, reconnection: false, ...way })
  const next = (event) => new Promise((resolve) => socket.once(event, (data) => resolve(data)))
  const began = socket.io.engine.transport.name
  const upgraded = new Promise((resolve) => socket.io.engine.once('upgrade', resolve))
  const isIn = Promise.race([next('welcome'), next('connect_error').then((error) => Promise.reject(new Error(error.message)))])
  const received = next('receive_message')
  const { sessionId, chats: [chat] } = await isIn
  if (!way.transports) await upgraded
  const sent = await socket.emitWithAck('send_message', { message: 'from a page' })
  const refused = await socket.emitWithAck('enter_chat', [999_999])
  // Another session of the same user, on a connection of its own.
  const other = io(`${url}/chats`, { withCredentials: true, auth: { token }, forceNew: true, ...way })
  await other.emitWithAck('send_message', { message: 'from the other tab' })
  const { message } = await received
  const ended = socket.io.engine.transport.name
  const isId = socket.id === sessionId
  socket.disconnect()
  other.disconnect()
  return { began, ended, isId, lastSeq: chat.lastSeq, sent: sent.seq, refused: refused.code, message }
}

/** In the page: an attempt to connect, and its outcome. */
const knock = (url, token, way) => {
  const socket = io(url, { withCredentials: true, auth: { token }, reconnection: false, ...way })
  return new Promise((resolve) => {
    socket.once('connect', () => resolve('it is in'))
    socket.once('connect_error', () => resolve('refused'))
  })
}

/** In the page: an attempt with the token in a header, and the answer. */
const knockByHeader = (url, token, way) => {
  const extraHeaders = { Authorization: `Bearer ${token}` }
  const socket = io(url, { withCredentials: true, extraHeaders, reconnection: false, ...way })
  return new Promise((resolve) => {
    socket.once('welcome', ({ user }) => resolve(user.nickname))
    socket.once('connect_error', ({ message, data }) => resolve(`${data?.code}: ${message}`))
  }).finally(() => socket.disconnect())
}

describe('Chromium', () => {
  for (const [name, way] of Object.entries(WAYS)) {
    test(`on an allowed origin, with credentials, over ${name}`, async () => {
      const page = await browser.open(shop.origin)
      const seen = await page(chat, server.url, server.token(`visitor over ${name}`), way)
      const [began, ended] = { polling: ['polling', 'polling'], websocket: ['websocket', 'websocket'], upgrade: ['polling', 'websocket'] }[name]
      assert.deepEqual(seen, {
        began, ended, isId: true, lastSeq: 0, sent: 1, refused: 'chat_not_found', message: 'from the other tab',
      })
      assert.equal(await known(`visitor over ${name}`), 1)
    })

    test(`on a refused origin is in no session, over ${name}`, async () => {
      const sessions = () => server.metric('sessions')
      const refused = () => server.metric('origins_refused_total')
      const [before, count] = [await sessions(), await refused()]
      const page = await browser.open(stranger.origin)
      assert.equal(await page(knock, server.url, server.token('victim'), way), 'refused')
      assert.ok((await sessions()) <= before)
      assert.ok((await refused()) > count)
      // A session would have created the user.
      assert.equal(await known('victim'), 0)
    })
  }

  test('brings a header where it can, and is told where a token belongs where it cannot', async () => {
    const page = await browser.open(shop.origin)
    const knocks = (way) => page(knockByHeader, server.url, server.token('header'), way)
    assert.equal(await knocks(WAYS.polling), 'header')
    assert.match(await knocks(WAYS.websocket), /^unauthenticated: .*auth: \{ token \}/)
  })

  test('lets a page of an allowed origin read why it is refused, and no other', async () => {
    const read = async (url) => {
      const answer = await fetch(`${url}/socket.io/?EIO=3&transport=polling`, { credentials: 'include' }).catch(() => undefined)
      return answer && [answer.status, await answer.json()]
    }
    const page = await browser.open(shop.origin)
    assert.deepEqual(await page(read, server.url), [400, { code: 5, message: 'Unsupported protocol version' }])
    const other = await browser.open(stranger.origin)
    assert.equal(await other(read, server.url) ?? undefined, undefined)
  })
})
