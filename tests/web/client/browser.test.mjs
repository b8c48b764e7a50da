// The client in a browser: an outbox that outlives its tab, and one that cannot.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Server } from '../../nodejs/server.mjs'
import { openBrowser } from '../kit/browser.mjs'
import { logOf } from '../kit/people.mjs'

const POLICY =
  "default-src 'none'; script-src 'self'; connect-src *; require-trusted-types-for 'script'; trusted-types 'none'"
const PAGE =
  '<!doctype html><title>A shop</title><link rel="icon" href="data:,"><script type="module" src="/start.js"></script>'
/** Opens the client for the user in the page's address. */
const START = `import { Frontdesk } from '/client/frontdesk.js'
const ask = Object.fromEntries(new URLSearchParams(location.search))
globalThis.as = ask.as
const token = async () => (await fetch('/token?as=' + globalThis.as)).text()
globalThis.desk = new Frontdesk({ url: ask.url, token })
globalThis.chat = desk.support()
globalThis.texts = () => chat.messages.map(({ state, message }) => state === 'stored' ? message : '[' + message + ']')
`

/** A page of a shop, and so an origin of its own, with the modules of the client. */
async function serveShop(tokenOf) {
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://shop')
    const isScript = pathname.endsWith('.js')
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.setHeader('content-security-policy', POLICY)
    if (pathname === '/token') response.end(tokenOf(searchParams.get('as')))
    else if (pathname === '/start.js') response.end(START)
    else response.end(isScript ? await readFile(join(process.env.FRONTDESK_WEB, pathname)) : PAGE)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { origin: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() }
}

/** The rows of the outbox in the browser's database. */
async function countRows() {
  const request = indexedDB.open('frontdesk')
  const database = await new Promise((resolve) => (request.onsuccess = () => resolve(request.result)))
  const rows = database.transaction('outbox').objectStore('outbox').count()
  await new Promise((resolve) => (rows.onsuccess = resolve))
  database.close()
  return rows.result
}

describe('in a browser', { concurrency: true }, () => {
  let browser, shop, server
  const token = (subject) => server.token(subject)
  before(async () => {
    shop = await serveShop(token)
    server = await Server.start({ SERVER__ALLOWED_ORIGINS: shop.origin })
    browser = await openBrowser()
  })
  after(async () => {
    await browser.close()
    shop.stop()
    await server.stop()
  })

  const open = async (context, subject, url = server.url) => {
    const page = await context.newPage()
    await page.goto(`${shop.origin}/?as=${subject}&url=${encodeURIComponent(url)}`)
    await page.waitForFunction(() => globalThis.desk)
    return page
  }
  const isReady = (page) => page.waitForFunction(() => chat.ready)
  const shows = (page, ...expected) =>
    page.waitForFunction((all) => JSON.stringify(texts()) === all, JSON.stringify(expected))
  /** Without a line, as a browser that is told so. */
  const goOffline = async (context, ...pages) => {
    await context.setOffline(true)
    for (const page of pages) await page.waitForFunction(() => desk.state.state === 'offline')
  }
  const logFor = async (page) => (await logOf(server, await page.evaluate(() => chat.id))).map(({ message }) => message)

  it('what was sent without a line, in a tab that was closed then, goes out once from the next', async () => {
    const context = await browser.newContext()
    const page = await open(context, 'closed')
    await isReady(page)
    await goOffline(context, page)
    await page.evaluate(async () => {
      chat.send('one')
      chat.send('two')
      await desk.close()
    })
    await page.close()
    await context.setOffline(false)
    const next = await open(context, 'closed')
    await shows(next, 'one', 'two')
    assert.deepEqual(await logFor(next), ['one', 'two'])
    const third = await open(context, 'closed')
    await shows(third, 'one', 'two')
    assert.deepEqual(await logFor(third), ['one', 'two'])
    await context.close()
  })

  it('the messages of a tab that goes are sent by the one that stays', async () => {
    const context = await browser.newContext()
    const pages = [await open(context, 'tabs'), await open(context, 'tabs')]
    for (const page of pages) await isReady(page)
    await goOffline(context, ...pages)
    const [going, staying] = pages
    await going.evaluate(() => chat.send('of the first').clientId)
    await staying.evaluate(() => chat.send('of the second').clientId)
    // It is written down: another look at the database finds it.
    while ((await going.evaluate(countRows)) < 2);
    await going.close()
    await shows(staying, '[of the second]', '[of the first]')
    await context.setOffline(false)
    await shows(staying, 'of the second', 'of the first')
    assert.deepEqual(await logFor(staying), ['of the second', 'of the first'])
    await context.close()
  })

  it('what one user wrote is neither shown to another, nor sent by them, nor kept', async () => {
    const context = await browser.newContext()
    const page = await open(context, 'former')
    await isReady(page)
    await goOffline(context, page)
    await page.evaluate(async () => {
      chat.send('of the former')
      globalThis.as = 'latter'
    })
    await context.setOffline(false)
    await page.waitForFunction(() => desk.user?.nickname === 'latter' && chat.ready)
    await page.evaluate(() => chat.send('of the latter').stored)
    await shows(page, 'of the latter')
    assert.deepEqual(await logFor(page), ['of the latter'])
    await page.evaluate(() => desk.close())
    assert.equal(await page.evaluate(countRows), 0)
    await context.close()
  })

  for (const [fault, block] of [
    [
      'cannot be opened',
      () =>
        (IDBFactory.prototype.open = () => {
          throw new DOMException('blocked', 'SecurityError')
        }),
    ],
    ['is missing', () => Object.defineProperty(globalThis, 'indexedDB', { value: undefined })],
    [
      'is full',
      () =>
        (IDBObjectStore.prototype.put = () => {
          throw new DOMException('full', 'QuotaExceededError')
        }),
    ],
  ]) {
    it(`a database that ${fault} leaves the chat whole, and the client says so`, async () => {
      const context = await browser.newContext()
      await context.addInitScript(block)
      const errors = []
      const page = await open(context, `blocked-${fault.replaceAll(' ', '-')}`)
      page.on('pageerror', (error) => errors.push(error))
      await isReady(page)
      await page.evaluate(() => chat.send('hello').stored)
      await shows(page, 'hello')
      await page.waitForFunction(() => desk.kept === 'tab')
      assert.deepEqual(errors, [])
      await context.close()
    })
  }

  it('nothing is stored before the first message, and no message after it was sent', async () => {
    const context = await browser.newContext()
    const page = await open(context, 'clean')
    await isReady(page)
    const stored = () =>
      page.evaluate(async () => [document.cookie, localStorage.length, (await indexedDB.databases()).length])
    assert.deepEqual(await stored(), ['', 0, 0])
    await page.evaluate(() => chat.send('hello').stored)
    await page.evaluate(() => desk.close())
    assert.equal(await page.evaluate(countRows), 0)
    await context.close()
  })
})
