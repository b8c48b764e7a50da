// Two nodes on one PostgreSQL, behind an nginx that reads a connection's node from its id.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { ALL, Client, VERSIONS, each } from './kit/client.mjs'
import { Nginx } from './kit/nginx.mjs'
import { Server } from '../nodejs/server.mjs'

const nodes = []
let nginx
before(async () => {
  const url = await makeDatabase()
  // In sequence: the first creates the tables.
  for (const name of ['n1', 'n2']) nodes.push(await Server.start({ DATABASE__URL: url, CLUSTER__NODE_NAME: name }))
  nginx = await Nginx.before(nodes)
})
after(async () => {
  await nginx?.stop()
  await Promise.all(nodes.map((node) => node.stop()))
})

async function makeDatabase() {
  const cluster = process.env.FRONTDESK_TEST_POSTGRES_URL
  if (!cluster) throw new Error('FRONTDESK_TEST_POSTGRES_URL is not set: run scripts/test socketio')
  const name = `socketio_${randomBytes(6).toString('hex')}`
  const statement = `CREATE DATABASE ${name} ENCODING 'UTF8' TEMPLATE template0`
  await promisify(execFile)('psql', ['--no-psqlrc', '--quiet', '--command', statement, cluster])
  const url = new URL(cluster)
  url.pathname = `/${name}`
  return url.href
}

/** The node of a connection, as nginx reads it. */
const nodeOf = ({ engine }) => engine.id.split('.')[0]

const post = async (node, chat, message) =>
  assert.equal((await node.http(node.admin(), 'POST', `/chats/${chat}/messages`, { message })).status, 201)

describe('two nodes behind nginx', () => {
  test('every client of every version keeps to its node without cookies, over each way', async () => {
    const clients = await each([...ALL, ...ALL], ({ version, way }, at) =>
      Client.connect(version, way, nginx.url, { auth: { token: nodes[0].token(`at ${way} ${version} ${at}`) } }))
    // Round robin: each node has some of them.
    assert.deepEqual(new Set(clients.filter(({ way }) => way !== 'websocket').map(nodeOf)), new Set(nodes.map(({ node }) => node)))
    await each(clients, async (client) => {
      for (let n = 1; n <= 10; n++) assert.equal((await client.acked('send_message', { message: `no. ${n}` })).seq, n)
      // Messages written on either node arrive.
      for (const [n, node] of nodes.entries()) {
        await post(node, client.chat, `from node ${n}`)
        assert.equal((await client.next('receive_message')).message, `from node ${n}`)
      }
      assert.ok(!client.has('disconnect'))
      client.close()
    })
  })

  test('whose node dies hears code 1, and goes on at the other after what it has seen', async () => {
    const clients = await each(VERSIONS.map((version) => ({ version })), async ({ version }, at) => {
      let seen
      const token = nodes[0].token(`survivor ${at}`)
      const auth = (give) => give({ token, ...(seen && { resume: [seen] }) })
      const client = await Client.connect(version, 'polling', nginx.url, { auth })
      client.socket.on('receive_message', ({ chatId, seq }) => (seen = { chatId, afterSeq: seq }))
      return client
    })
    const [dying, staying] = nodes
    const [lost, kept] = [dying, staying].map(({ node }) => clients.filter((client) => nodeOf(client) === node))
    assert.ok(lost.length && kept.length, 'each node has some of them')
    await each(clients, async (client) => {
      await post(staying, client.chat, 'before')
      await client.next('receive_message')
    })
    const ids = lost.map(({ engine }) => engine.id)
    await dying.end('SIGKILL')
    for (const id of ids) {
      const answer = await fetch(`${nginx.url}/socket.io/?EIO=4&transport=polling&sid=${id}`)
      assert.deepEqual([answer.status, await answer.json()], [400, { code: 1, message: 'Session ID unknown' }])
    }
    await each(clients, ({ chat }) => post(staying, chat, 'meanwhile'))
    await each(lost, async (client) => {
      const { chats: [chat] } = await client.isIn()
      assert.equal(nodeOf(client), staying.node)
      assert.equal(chat.reset, false)
      assert.equal((await client.next('receive_message')).message, 'meanwhile')
      assert.equal((await client.acked('send_message', { message: 'I am here' })).seq, 3)
    })
    await each(kept, async (client) => {
      assert.equal((await client.next('receive_message')).message, 'meanwhile')
      assert.ok(!client.has('disconnect'))
    })
    for (const client of clients) client.close()
  })
})
