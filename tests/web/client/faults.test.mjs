// The client against faults, by the hundred: lines that break, freeze and lag, connections that are
// let in late, tokens that end, storage that fails, a server that is killed. Each message that was
// written is in the log once, and each view is the log.
//
// FRONTDESK_TEST_SEED repeats a run whose seed is in the failure.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Proxy } from '../../nodejs/proxy.mjs'
import { Server } from '../../nodejs/server.mjs'
import { MemoryStorage, Person, logOf, texts } from '../kit/people.mjs'
import { pick, randomOf, seed } from '../kit/random.mjs'

const RUNS = 120
/** Runs at the same time: enough to keep two cores busy. */
const AT_ONCE = 12
const STEPS = 24

const rejections = []
process.on('unhandledRejection', (error) => rejections.push(error))

/** Fails at random: as a browser that is out of room. */
class FailingStorage extends MemoryStorage {
  constructor(random) {
    super()
    this.random = random
  }

  async put(row) {
    if (this.random() < 0.1) throw new Error('no room')
    return super.put(row)
  }
}

const describeView = ([{ desk, states }, view]) =>
  JSON.stringify([desk.state, states.slice(-5), view.lastSeq, texts(view)])

/** A customer and an agent, each behind a line of their own. */
async function run(server, number) {
  const random = randomOf(seed + number)
  const lines = await Promise.all([Proxy.to(server.port), Proxy.to(server.port)])
  const subject = `kim-${seed}-${number}`
  const token = () => server.token(subject, { seconds: 2 + pick(random, 60) })
  const storage = number % 3 === 0 ? new FailingStorage(random) : 'memory'
  const kim = new Person(server, subject, { url: lines[0].url, token, storage })
  const chat = await kim.follow()
  const ada = new Person(server, `ada-${number}`, { role: 'admin', url: lines[1].url })
  const theirs = await ada.follow(chat.id)
  const people = [
    [kim, chat],
    [ada, theirs],
  ]
  const written = []
  const news = [[], []]
  people.forEach(([, view], at) => view.on('message', ({ seq }) => news[at].push(seq)))
  for (let step = 0; step < STEPS; step++) {
    const side = pick(random, 2)
    const [person, view] = people[side]
    const line = lines[side]
    const doing = pick(random, 10)
    if (doing < 5) {
      const text = `${number}.${step}`
      written.push(text)
      view.send(text)
    } else if (doing === 5) line.cut()
    else if (doing === 6) line.freeze()
    else if (doing === 7) {
      line.isShut = true
      line.cut()
    } else if (doing === 8) {
      // Let in later than connections that came after it.
      const release = line.holdUpgrades()
      sleep(pick(random, 40)).then(release)
    } else {
      view.read()
      line.release()
      line.isShut = false
      person.desk.reconnect()
    }
    await sleep(pick(random, 15))
  }
  // The lines are whole again; connections that were frozen are dead.
  for (const line of lines) {
    line.isShut = false
    line.cut()
  }
  const isWhole = ([person, view]) =>
    person.until(
      () => {
        if (person.desk.state.state === 'waiting') person.desk.reconnect()
        return (
          view.lastSeq === written.length &&
          view.messages.length === written.length &&
          view.messages.every(({ state }) => state === 'stored')
        )
      },
      {
        toString: () =>
          `whole view of ${written.length} messages (seed ${seed}, run ${number}): ${people.map(describeView)}`,
      },
    )
  await Promise.all(people.map(isWhole))
  const log = await logOf(server, chat.id)
  const expected = log.map(({ message }) => message)
  assert.deepEqual([...expected].sort(), [...written].sort(), `each message once (seed ${seed}, run ${number})`)
  for (const [, view] of people) assert.deepEqual(texts(view), expected, `seed ${seed}, run ${number}`)
  for (const seqs of news)
    assert.deepEqual(
      seqs,
      [...new Set(seqs)].sort((a, b) => a - b),
      'news in order, once each',
    )
  await Promise.all(people.map(([person]) => person.desk.close()))
  for (const line of lines) line.stop()
  assert.deepEqual(
    people.flatMap(([{ errors }]) => errors),
    [],
  )
}

describe('faults', () => {
  let server
  before(
    async () =>
      (server = await Server.start({ LIMITS__HEARTBEAT_MS: '1000', LIMITS__LEEWAY_SECONDS: '0', LIMITS__REPLAY: '3' })),
  )
  after(() => server.stop())

  it(`each message is stored once and each view is the log, ${RUNS} times`, async () => {
    let next = 0
    const worker = async () => {
      while (next < RUNS) await run(server, next++)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    assert.deepEqual(rejections, [])
  })

  it('what is written while the server is killed again and again is stored once', async () => {
    const own = await Server.start({ SERVER__DRAIN_WINDOW_MS: '0' })
    const people = await Promise.all(
      Array.from({ length: 8 }, async (_, at) => {
        const kim = new Person(own, `kim-${at}`, { storage: 'memory' })
        return { kim, chat: await kim.follow() }
      }),
    )
    const written = Array.from({ length: 40 }, (_, at) => `${at}`)
    const typing = (async () => {
      for (const text of written) {
        for (const { chat } of people) chat.send(text)
        await sleep(20)
      }
    })()
    for (let kills = 0; kills < 4; kills++) {
      await sleep(150)
      await own.end('SIGKILL')
      await own.run()
      for (const { kim } of people) kim.desk.reconnect()
    }
    await typing
    for (const { kim, chat } of people) {
      await kim.until(() => {
        if (kim.desk.state.state === 'waiting') kim.desk.reconnect()
        return chat.messages.every(({ state }) => state === 'stored') && chat.messages.length === written.length
      }, 'messages')
      assert.deepEqual(texts(chat), written)
      assert.deepEqual(
        (await logOf(own, chat.id)).map(({ message }) => message),
        written,
      )
    }
    await Promise.all(people.map(({ kim }) => kim.desk.close()))
    await own.stop()
  })
})
