// The demo, as somebody finds it who has just started the program; and the check.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createServer, request } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { Proxy } from '../nodejs/proxy.mjs'
import { Server } from '../nodejs/server.mjs'
import { openBrowser, openContext } from './kit/browser.mjs'
import { Widget, eventually } from './kit/widget.mjs'

let browser
before(async () => (browser = await openBrowser()))
after(() => browser.close())

/** The printed address in a browser: the frames of the customer and of the agent. */
async function openDemo(server, options) {
  const context = await openContext(browser, { viewport: { width: 1440, height: 900 }, ...options })
  const page = await context.newPage()
  await page.goto(await server.demo)
  const sides = page.locator('.side')
  const shop = new Widget(page.frameLocator('iframe').first())
  const agent = page.frameLocator('iframe[src^="/demo/agent"]')
  return {
    context,
    page,
    sides,
    shop,
    agent,
    side: (name) => sides.filter({ has: page.getByRole('heading', { name, exact: true }) }),
  }
}

/** The texts of the agent's open chat. */
const seen = (agent) =>
  agent.locator('.thread .message').evaluateAll((rows) =>
    rows
      .map((row) => {
        const text = row.querySelector('.bubble').textContent
        return row.classList.contains('stored') ? text : `[${text}]`
      })
      .join('|'),
  )

async function say(agent, text) {
  await agent.locator('.thread textarea').fill(text)
  await agent.locator('.thread textarea').press('Enter')
}

describe('the demo', { concurrency: 2 }, () => {
  it('an empty folder, the program, the printed address: customer and agent talk side by side', async () => {
    // Neither npm nor Node.js is in the path of the program.
    const server = await Server.start({ DATABASE__URL: 'sqlite://frontdesk.db' }, undefined, { PATH: '' })
    const { context, page, shop, agent } = await openDemo(server)
    // The key does not stay in the address.
    await eventually(() => new URL(page.url()).hash, '')
    await agent.getByRole('heading', { name: 'Kim', level: 2 }).first().waitFor()
    await shop.open()
    await shop.write('Hello')
    await eventually(() => seen(agent), 'Hello')
    await say(agent, 'How can I help, Kim?')
    await shop.shows('Hello', 'How can I help, Kim?')
    await shop.host.locator('.read').waitFor()
    await agent.locator('.thread .read').waitFor()
    await page.reload()
    await shop.open()
    await shop.shows('Hello', 'How can I help, Kim?')
    assert.deepEqual(context.problems, [])
    await context.close()
    await server.stop()
  })

  it('the agent’s only chat is known before the connection is there: it opens with it', async () => {
    const server = await Server.start({ DATABASE__URL: 'sqlite://frontdesk.db' })
    const { context, page, shop, agent } = await openDemo(server)
    await shop.open()
    await shop.write('Hello')
    await eventually(() => seen(agent), 'Hello')
    let isShut = true
    await context.routeWebSocket('**/ws', (socket) =>
      isShut ? socket.close({ code: 1012 }) : socket.connectToServer(),
    )
    await page.reload()
    await agent.locator('.chat-row').waitFor()
    await agent.locator('.strip').filter({ hasText: 'Reconnecting' }).waitFor()
    // The next try comes by itself.
    isShut = false
    await eventually(() => seen(agent), 'Hello')
    assert.deepEqual(
      context.problems.filter((problem) => problem.includes('RangeError')),
      [],
    )
    await context.close()
    await server.stop()
  })

  it('a line that is cut, frozen or left with an old token loses nothing, and says so; a second device sees the same', async () => {
    const server = await Server.start({ WEB__DEMO: 'on', LIMITS__HEARTBEAT_MS: '1000' })
    const { context, page, shop, agent, side } = await openDemo(server)
    await shop.open()
    await shop.write('one')
    await eventually(() => seen(agent), 'one')
    const kim = side('Kim, a customer')
    const status = kim.locator('.status')
    await status.filter({ hasText: 'live · last message #1, 0 waiting' }).waitFor()

    await kim.getByRole('button', { name: 'Cut the line' }).click()
    await status.filter({ hasText: 'reconnecting' }).waitFor()
    await shop.write('two')
    await shop.shows('one', '[two]')
    await status.filter({ hasText: '1 waiting' }).waitFor()
    await say(agent, 'three')
    await kim.getByRole('button', { name: 'Cut the line' }).click()
    await eventually(() => seen(agent), 'one|three|two')
    await shop.shows('one', 'three', 'two')

    await kim.getByRole('button', { name: 'Freeze the line' }).click()
    await shop.write('four')
    await shop.shows('one', 'three', 'two', '[four]')
    await kim.getByRole('button', { name: 'Freeze the line' }).click()
    await eventually(() => seen(agent), 'one|three|two|four')
    await shop.shows('one', 'three', 'two', 'four')

    const asked = []
    page.on(
      'request',
      (request) => request.url().endsWith('/demo/session') && asked.push(request.postDataJSON().seconds),
    )
    await kim.getByRole('button', { name: 'Let the token expire' }).click()
    // The short one, and the one that renews it.
    await eventually(() => asked.length >= 2, true)
    assert.deepEqual(asked.slice(0, 2), [5, undefined])
    await say(agent, 'five')
    await shop.shows('one', 'three', 'two', 'four', 'five')

    await page.getByRole('button', { name: 'Bring a second device' }).click()
    const phone = new Widget(page.frameLocator('iframe').nth(1))
    await phone.open()
    await phone.shows('one', 'three', 'two', 'four', 'five')
    await phone.write('six')
    await shop.shows('one', 'three', 'two', 'four', 'five', 'six')
    await page.getByRole('button', { name: 'Take the second device away' }).click()
    await eventually(() => page.locator('iframe').count(), 2)
    await context.close()
    await server.stop()
  })

  it('an address without its key, or with another one, says what to do', async () => {
    const server = await Server.start({ WEB__DEMO: 'on' })
    const context = await openContext(browser)
    const page = await context.newPage()
    await page.goto(`${server.url}/demo`)
    await page.getByRole('alert').filter({ hasText: 'lacks the demo’s key' }).waitFor()
    await page.goto(`${server.url}/demo#0123`)
    await page.reload()
    await page.getByRole('alert').filter({ hasText: 'the address that the server printed' }).waitFor()
    assert.equal(await page.locator('iframe').count(), 0)
    await context.close()
    await server.stop()
  })
})

/** A proxy for HTTP that passes on no upgrade, and may name another host, as careless ones do. */
async function careless(port, { host } = {}) {
  const server = createServer((from, to) => {
    const headers = { ...from.headers, ...(host ? { host } : {}) }
    const on = request({ port, host: '127.0.0.1', path: from.url, method: from.method, headers }, (answer) => {
      to.writeHead(answer.statusCode, answer.headers)
      answer.pipe(to)
    })
    on.on('error', () => to.destroy())
    from.pipe(on)
  })
  server.on('upgrade', (from, socket) => socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n'))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}

describe('the check names the fault', { concurrency: 2 }, () => {
  let server
  before(async () => (server = await Server.start({ SERVER__ALLOWED_ORIGINS: 'https://shop.example.org' })))
  after(() => server.stop())

  async function check(url, prepare = async () => undefined) {
    const context = await openContext(browser)
    await prepare(context)
    const page = await context.newPage()
    await page.goto(`${url}/desk/check`)
    const list = page.locator('.checks[aria-busy=false]')
    await list.waitFor()
    return {
      context,
      page,
      async of(name, state) {
        const row = page.locator(`.checks .${state}[data-name=${name}]`)
        await row.waitFor()
        return row.locator('p').innerText()
      },
      async again(fields) {
        for (const [name, value] of Object.entries(fields)) await page.locator(`#${name}`).fill(value)
        await page.getByRole('button', { name: 'Check these' }).click()
        await list.waitFor()
      },
    }
  }

  it('nothing is wrong where nothing is', async () => {
    const { of, context } = await check(server.url)
    for (const name of ['server', 'database', 'clock', 'origin', 'socket']) await of(name, 'ok')
    assert.match(await of('token', 'skipped'), /Paste a token/)
    assert.deepEqual(context.problems, [])
    await context.close()
  })

  it('an origin that is not allowed', async () => {
    const { again, of, context } = await check(server.url)
    await again({ origin: 'https://shop.example.org' })
    await of('origin', 'ok')
    await again({ origin: 'https://other.example.org/' })
    assert.match(await of('origin', 'bad'), /https:\/\/other\.example\.org are refused.*server\.allowed_origins/)
    await again({ origin: 'https://shop.example.org/cart' })
    assert.match(await of('origin', 'bad'), /is no origin/)
    await context.close()
    // The server's own pages, behind a proxy that names another host.
    const proxy = await careless(server.port, { host: 'internal:8080' })
    const behind = await check(proxy.url)
    assert.match(await behind.of('origin', 'bad'), /Host header \(it arrives as internal:8080\)/)
    await behind.context.close()
    proxy.stop()
  })

  it('a proxy that passes on no upgrade', async () => {
    const proxy = await careless(server.port)
    const { of, context } = await check(proxy.url)
    await of('server', 'ok')
    assert.match(await of('socket', 'bad'), /does not pass on the upgrade/)
    await context.close()
    proxy.stop()
  })

  it('a clock that is five minutes off', async () => {
    const { of, context } = await check(server.url, (context) =>
      context.addInitScript(() => {
        const now = Date.now
        Date.now = () => now() + 300_000
      }),
    )
    assert.match(await of('clock', 'bad'), /differ by (299|300|301) seconds; 30 are tolerated/)
    await context.close()
  })

  it('a token that has expired, or is none', async () => {
    const { again, of, context } = await check(server.url)
    await again({ token: server.token('kim', { seconds: -60 }) })
    assert.match(await of('token', 'bad'), /has expired/)
    await of('socket', 'ok')
    await again({ token: 'nonsense' })
    assert.match(await of('token', 'bad'), /is refused: .*JWT/)
    await again({ token: server.token('kim') })
    assert.match(await of('token', 'ok'), /kim, customer/)
    await context.close()
  })

  it('a database that is away, and a server that is', async () => {
    const url = new URL(process.env.FRONTDESK_TEST_POSTGRES_URL)
    const database = `check_${process.pid}`
    execFileSync('psql', [url.href, '-qc', `CREATE DATABASE ${database}`])
    const proxy = await Proxy.to(Number(url.port))
    const own = await Server.start({
      DATABASE__URL: `postgres://postgres@127.0.0.1:${new URL(proxy.url).port}/${database}`,
    })
    const { again, of, context } = await check(own.url)
    await of('database', 'ok')
    proxy.shut()
    await again({})
    assert.match(await of('database', 'bad'), /nothing can be stored/)
    await of('server', 'ok')
    await own.end('SIGKILL')
    await again({})
    assert.match(await of('server', 'bad'), /does not answer/)
    await of('database', 'skipped')
    await context.close()
    proxy.stop()
    await own.stop().catch(() => undefined)
  })
})
