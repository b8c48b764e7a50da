// The desk of many chats and of long ones, and what it tells an agent who looks elsewhere.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Proxy } from '../nodejs/proxy.mjs'
import { Server } from '../nodejs/server.mjs'
import { openBrowser, openContext } from './kit/browser.mjs'
import { OWN_LOGIN, openDesk } from './kit/desk.mjs'
import { readBack } from './kit/long-chat.mjs'
import { Person } from './kit/people.mjs'
import { eventually } from './kit/widget.mjs'

let browser
before(async () => (browser = await openBrowser()))
after(() => browser.close())

const start = (settings = {}) => Server.start({ ...OWN_LOGIN, LIMITS__SESSION_QUEUE_EVENTS: '100000', ...settings })

/** The chats of so many customers, from `first` on: as if each had opened the widget. */
async function makeChats(server, count, first = 1) {
  const ids = []
  for (let at = 0; at < count; at += 50) {
    const some = Array.from({ length: Math.min(50, count - at) }, (_, i) => `customer ${first + at + i}`)
    const made = await Promise.all(some.map((name) => server.http(server.token(name), 'POST', '/chats', {})))
    ids.push(...made.map(({ body }) => body.id))
  }
  return ids
}

/** The whole list of a desk, read by scrolling: names by their positions, and the most rows at a time. */
function readList(page) {
  return page.locator('.chats-scroll').evaluate(async (scroller) => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
    const names = new Map()
    const sizes = new Set()
    let most = 0
    scroller.scrollTop = 0
    for (;;) {
      await frame()
      const rows = [...scroller.querySelectorAll('li')]
      most = Math.max(most, rows.length)
      for (const row of rows) {
        names.set(Number(row.ariaPosInSet), row.querySelector('.name').textContent)
        sizes.add(Number(row.ariaSetSize))
      }
      if (scroller.scrollTop + scroller.clientHeight >= scroller.scrollHeight - 1) break
      scroller.scrollTop += scroller.clientHeight
    }
    scroller.scrollTop = 0
    await frame()
    return { names: [...names].sort(([a], [b]) => a - b).map(([, name]) => name), sizes: [...sizes], most }
  })
}

/** Scrolls down until so many chats are in the list. Each step is awaited by itself: there may be many. */
async function loadAll(page, count) {
  const scroll = () =>
    page.locator('.chats-scroll').evaluate((scroller) => {
      scroller.scrollTop = scroller.scrollHeight
      return Number(scroller.querySelector('li')?.ariaSetSize ?? 0)
    })
  let loaded = await scroll()
  while (loaded < count) {
    const before = loaded
    await eventually(async () => (loaded = await scroll()) > before, true)
  }
}

describe('the list of chats', { concurrency: 2 }, () => {
  it('5,000 chats are at most 60 rows, each knows its place, and their order is live', async () => {
    const server = await start()
    const ids = await makeChats(server, 5_000)
    const { context, page, desk } = await openDesk(browser, server)
    await desk.rows.first().waitFor()
    await loadAll(page, 5_000)
    const { names, sizes, most } = await readList(page)
    assert.ok(most <= 60, `${most} rows`)
    assert.deepEqual(sizes, [5_000])
    assert.equal(new Set(names).size, 5_000)
    const oldest = names.at(-1)
    const id = ids[Number(oldest.split(' ')[1]) - 1]
    const sent = new Person(server, oldest)
    await sent.online()
    await sent.desk.request('send_message', { chatId: id, message: 'up' })
    await eventually(async () => (await desk.names())[0], oldest)
    await desk.row(oldest).getByText('1 unread').waitFor({ state: 'attached' })
    assert.deepEqual((await desk.names()).slice(0, 9), [oldest, ...names.slice(0, 8)])
    await sent.desk.close()
    assert.deepEqual(context.problems, [])
    await context.close()
    await server.stop()
  })

  it('after a break in which 200 chats have changed, and new ones were made, the list is that of a new desk', async () => {
    const server = await start()
    const ids = await makeChats(server, 300)
    const proxy = await Proxy.to(server.port)
    const { context, page, desk } = await openDesk(browser, server, 'ada', { url: proxy.url })
    await desk.rows.first().waitFor()
    await loadAll(page, 300)
    await eventually(async () => (await readList(page)).names.length, 300)
    proxy.shut()
    await desk.strip.filter({ hasText: 'Reconnecting' }).waitFor()
    const agent = await new Person(server, 'bo', { role: 'admin' }).online()
    for (let at = 0; at < 200; at += 50) {
      const some = ids.slice(at, at + 50)
      await Promise.all(some.map((chatId) => agent.desk.request('send_message', { chatId, message: 'meanwhile' })))
    }
    await makeChats(server, 5, 301)
    proxy.isShut = false
    await desk.strip
      .getByRole('button', { name: 'Now' })
      .click()
      .catch(() => undefined)
    await eventually(() => desk.strip.count(), 0)
    const fresh = await openDesk(browser, server, 'ada')
    await fresh.desk.rows.first().waitFor()
    await loadAll(fresh.page, 305)
    const { names } = await readList(fresh.page)
    await eventually(async () => (await readList(page)).names.join(), names.join())
    await fresh.context.close()
    await context.close()
    await agent.desk.close()
    proxy.stop()
    await server.stop()
  })

  it('a message in any chat moves it to the top with its text, and what was read elsewhere is read here', async () => {
    const server = await start()
    const [first, second] = await makeChats(server, 2)
    const { context, page, desk } = await openDesk(browser, server)
    const other = await openDesk(browser, server, 'ada')
    const bo = await new Person(server, 'customer 1').online()
    await eventually(async () => (await desk.names()).length, 2)
    await bo.desk.request('send_message', { chatId: first, message: 'a first word' })
    await eventually(async () => (await desk.names())[0], 'customer 1')
    await desk.row('customer 1').getByText('a first word').waitFor()
    await desk.row('customer 1').getByText('1 unread').waitFor({ state: 'attached' })
    await eventually(() => page.title(), '(1) Desk')
    await other.desk.open('customer 1')
    await other.desk.shows('a first word')
    await eventually(() => page.title(), 'Desk')
    assert.equal(await desk.row('customer 1').locator('.badge').count(), 0)
    assert.ok(second)
    await bo.desk.close()
    await other.context.close()
    await context.close()
    await server.stop()
  })
})

describe('a long chat at the desk', () => {
  it('a chat of 10,000 opens at what is new, is few elements, and is read back to the first message without a jump', async () => {
    const server = await start()
    const [id] = await makeChats(server, 1)
    const bo = await new Person(server, 'bo', { role: 'admin' }).online()
    for (let at = 0; at < 10_000; at += 200) {
      const some = Array.from({ length: 200 }, (_, i) => `${at + i + 1}`)
      await Promise.all(some.map((message) => bo.desk.request('send_message', { chatId: id, message })))
    }
    await server.http(server.admin(), 'PUT', `/chats/${id}/read`, { seq: 9_900 })
    const { context, page } = await openDesk(browser, server, 'ada', { path: `/desk/chats/${id}` })
    const log = page.locator('.thread .log')
    await page.locator('.thread .new').waitFor()
    await eventually(
      () =>
        log.evaluate((log) => {
          const { top, bottom } = log.getBoundingClientRect()
          const mark = log.querySelector('.new').getBoundingClientRect()
          return (
            mark.top >= top - 1 &&
            mark.bottom < (top + bottom) / 2 &&
            log.querySelector('.new + .message .bubble').textContent
          )
        }),
      '9901',
    )
    const { jump, most, first } = await log.evaluate(readBack)
    assert.equal(first, '1')
    assert.ok(jump < 2, `the message under the eye moved by ${jump} px`)
    assert.ok(most <= 400, `${most} elements`)
    assert.deepEqual(context.problems, [])
    await context.close()
    await bo.desk.close()
    await server.stop()
  })

  it('who has read far back and gone to the end can read back again, while another chat moves', async () => {
    const server = await start()
    const [id, other] = await makeChats(server, 2)
    const kim = await new Person(server, 'customer 1').online()
    const lou = await new Person(server, 'customer 2').online()
    const say = (message) => kim.desk.request('send_message', { chatId: id, message })
    for (let at = 1; at <= 700; at += 100) await Promise.all(Array.from({ length: 100 }, (_, i) => say(`${at + i}`)))
    await server.http(server.admin(), 'PUT', `/chats/${id}/read`, { seq: 700 })
    const { context, page, desk } = await openDesk(browser, server, 'ada', { path: `/desk/chats/${id}` })
    const log = page.locator('.thread .log')
    await page.locator('.thread .bubble').filter({ hasText: /^700$/ }).waitFor()
    const first = await log.evaluate(readBack)
    assert.equal(first.first, '1')
    await page.locator('.pill').click()
    await page.locator('.thread .bubble').filter({ hasText: /^700$/ }).waitFor()
    const moves = async (message) => {
      await lou.desk.request('send_message', { chatId: other, message })
      await desk.row('customer 2').locator('.last', { hasText: message }).waitFor()
    }
    // The older ones are dropped with the first change.
    await moves('one')
    const eye = await log.evaluate(async (log) => {
      for (let at = 0; at < 20; at++) {
        log.scrollTop = 400
        await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
      }
      const { top } = log.getBoundingClientRect()
      window.eye = [...log.querySelectorAll('.message')].find((row) => row.getBoundingClientRect().bottom > top)
      return Math.round(window.eye.getBoundingClientRect().top)
    })
    await moves('two')
    assert.deepEqual(
      await page.evaluate(() => [window.eye.isConnected, Math.round(window.eye.getBoundingClientRect().top)]),
      [true, eye],
    )
    const again = await log.evaluate(readBack)
    assert.equal(again.first, '1')
    assert.ok(again.jump < 2, `the message under the eye moved by ${again.jump} px`)
    await context.close()
    await kim.desk.close()
    await lou.desk.close()
    await server.stop()
  })

  it('arrivals do not move what is read, a pill tells of them, and a long one is shown from its start', async () => {
    const server = await start()
    const [id] = await makeChats(server, 1)
    const kim = await new Person(server, 'customer 1').online()
    const say = (message) => kim.desk.request('send_message', { chatId: id, message })
    for (let at = 1; at <= 80; at++) await say(`${at}`)
    await server.http(server.admin(), 'PUT', `/chats/${id}/read`, { seq: 80 })
    const { context, page } = await openDesk(browser, server, 'ada', { path: `/desk/chats/${id}` })
    const log = page.locator('.thread .log')
    await page.locator('.thread .bubble').filter({ hasText: /^80$/ }).waitFor()
    const eye = () =>
      log.evaluate((log) => {
        const { top } = log.getBoundingClientRect()
        const row = [...log.querySelectorAll('.message')].find((row) => row.getBoundingClientRect().bottom > top)
        return `${row.querySelector('.bubble').textContent} ${Math.round(row.getBoundingClientRect().top)}`
      })
    await log.evaluate((log) => (log.scrollTop = 600))
    // A page may come before it first, after which it stands still.
    await eventually(() => log.evaluate((log) => log.querySelectorAll('.message').length), 80)
    let before
    await eventually(async () => before === (before = await eye()), true)
    for (const text of ['a', 'b', 'c']) await say(text)
    const pill = page.getByRole('button', { name: '3 new' })
    await pill.waitFor()
    assert.equal(await eye(), before)
    await pill.click()
    await page.locator('.thread .bubble').filter({ hasText: /^c$/ }).waitFor()
    await eventually(() => log.evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight < 4), true)
    await say(Array.from({ length: 80 }, (_, at) => `line ${at}`).join('\n'))
    await eventually(
      () =>
        log.evaluate((log) => {
          const last = [...log.querySelectorAll('.message')].at(-1)
          const isLong = last.querySelector('.bubble').textContent.startsWith('line 0')
          return isLong && last.getBoundingClientRect().top >= log.getBoundingClientRect().top - 1
        }),
      true,
    )
    await kim.desk.close()
    await context.close()
    await server.stop()
  })

  it('what arrives is in the log’s live region once; 300 messages that are read again are announced by nothing', async () => {
    const server = await start()
    const [id] = await makeChats(server, 1)
    const kim = await new Person(server, 'customer 1').online()
    const say = (message) => kim.desk.request('send_message', { chatId: id, message })
    for (let at = 1; at <= 300; at++) await say(`old ${at}`)
    await server.http(server.admin(), 'PUT', `/chats/${id}/read`, { seq: 300 })
    const proxy = await Proxy.to(server.port)
    const context = await openContext(browser)
    // What a screen reader would hear: additions to a log that is not busy, and changes of status and alert.
    await context.addInitScript(() => {
      window.heard = []
      const note = (mutations) => {
        for (const { target, addedNodes } of mutations) {
          const element = target instanceof Element ? target : target.parentElement
          const log = element?.closest('[role=log]')
          const isLog = log && log.ariaLive !== 'off' && !log.closest('[aria-busy=true]')
          const isStatus = element?.closest('[role=status], [role=alert]')
          for (const node of addedNodes) {
            if ((isLog && node.matches?.('li')) || isStatus) window.heard.push(node.textContent.trim())
          }
        }
      }
      new MutationObserver(note).observe(document, { childList: true, characterData: true, subtree: true })
    })
    const { page, desk } = await openDesk(browser, server, 'ada', {
      context,
      url: proxy.url,
      path: `/desk/chats/${id}`,
    })
    await page
      .locator('.thread .bubble')
      .filter({ hasText: /^old 300$/ })
      .waitFor()
    const heard = (text) => page.evaluate((text) => window.heard.filter((words) => words.includes(text)).length, text)
    assert.equal(await heard('old'), 0)
    await say('a new one')
    await page
      .locator('.thread .bubble')
      .filter({ hasText: /^a new one$/ })
      .waitFor()
    await eventually(() => heard('a new one'), 1)
    proxy.shut()
    await desk.strip.filter({ hasText: 'Reconnecting' }).waitFor()
    for (let at = 1; at <= 300; at++) await say(`missed ${at}`)
    proxy.isShut = false
    await page
      .locator('.thread .bubble')
      .filter({ hasText: /^missed 300$/ })
      .waitFor()
    assert.equal(await heard('missed'), 0)
    assert.equal(await heard('Connected again.'), 1)
    await say('another new one')
    await eventually(() => heard('another new one'), 1)
    await context.close()
    await kim.desk.close()
    proxy.stop()
    await server.stop()
  })
})

describe('an agent who looks elsewhere', () => {
  /** Hides a page, or shows it, as a browser does when its tab is left. */
  const look = (page, state) =>
    page.evaluate((state) => {
      Object.defineProperty(document, 'visibilityState', { value: state, configurable: true })
      document.dispatchEvent(new Event('visibilitychange'))
    }, state)

  it('sees the number in the title and on the icon, and is notified once over two tabs; a click opens that chat', async () => {
    const server = await start()
    const [first] = await makeChats(server, 1)
    const [second] = await makeChats(server, 1, 2)
    const context = await openContext(browser, { permissions: ['notifications'] })
    await context.addInitScript(() => {
      // The system's notifications cannot be seen by a test; that they are asked for can.
      window.notices = []
      window.Notification = class {
        static permission = 'granted'
        static requestPermission = async () => 'granted'
        constructor(title, options) {
          window.notices.push(this)
          Object.assign(this, { title, ...options })
        }
        close() {}
      }
    })
    const one = await openDesk(browser, server, 'ada', { context })
    await one.page.getByRole('button', { name: 'Settings' }).click()
    await one.page.getByLabel('Notifications of the system').check()
    await one.page.keyboard.press('Escape')
    const two = await openDesk(browser, server, 'ada', { context })
    for (const { desk } of [one, two])
      await eventually(async () => (await desk.names()).join(), 'customer 2,customer 1')
    const kim = await new Person(server, 'customer 1').online()
    // A tab in sight shows it: no notification.
    await look(one.page, 'hidden')
    await kim.desk.request('send_message', { chatId: first, message: 'in sight' })
    for (const { page, desk } of [one, two]) {
      await eventually(() => page.title(), '(1) Desk')
      // The title may come first, from the chat itself: what is told comes with its place in the list.
      await eventually(async () => (await desk.names()).join(), 'customer 1,customer 2')
      // Answered after the desk's own question, who is in sight.
      await page.evaluate(() => navigator.locks.query())
    }
    await look(two.page, 'hidden')
    const lei = await new Person(server, 'customer 2').online()
    await lei.desk.request('send_message', { chatId: second, message: 'out of sight' })
    for (const { page } of [one, two]) {
      await eventually(() => page.title(), '(2) Desk')
      assert.match(await page.locator('link[rel=icon]').getAttribute('href'), /unread\.svg$/)
    }
    const told = async () =>
      (
        await Promise.all(
          [one, two].map(({ page }) =>
            page.evaluate(() => window.notices.map(({ title, body }) => `${title}: ${body}`)),
          ),
        )
      ).flat()
    await eventually(async () => (await told()).join(), 'customer 2 writes: out of sight')
    for (const { page } of [one, two]) await page.evaluate(() => window.notices.forEach((notice) => notice.onclick()))
    const opened = await Promise.any(
      [one, two].map(async ({ page, desk }) => {
        await page.getByRole('heading', { name: 'customer 2', exact: true, level: 2 }).first().waitFor()
        return { page, desk }
      }),
    )
    await look(opened.page, 'visible')
    await opened.desk.shows('out of sight')
    for (const { page } of [one, two]) await eventually(() => page.title(), '(1) Desk')
    assert.deepEqual(await told(), ['customer 2 writes: out of sight'])
    await kim.desk.close()
    await lei.desk.close()
    await context.close()
    await server.stop()
  })

  it('hears a sound only after a gesture: before, a line says that the browser blocks it', async () => {
    const server = await start()
    const [id] = await makeChats(server, 1)
    const context = await openContext(browser)
    await context.addInitScript(() => {
      window.strokes = 0
      const begin = OscillatorNode.prototype.start
      OscillatorNode.prototype.start = function (...when) {
        window.strokes += 1
        return begin.apply(this, when)
      }
      const look = () =>
        document.querySelector('.strip')?.textContent.includes('Sound is blocked') && console.info('blocked')
      new MutationObserver(look).observe(document, { childList: true, subtree: true })
    })
    // Whatever a test asks of a page counts as a gesture there: until the line is there, nothing is asked.
    const { page, desk } = await openDesk(browser, server, 'ada', { context })
    const kim = await new Person(server, 'customer 1').online()
    const unheard = setInterval(() => kim.desk.request('send_message', { chatId: id, message: 'unheard' }), 300)
    await page.waitForEvent('console', (message) => message.text() === 'blocked')
    clearInterval(unheard)
    const strip = desk.strip.filter({ hasText: 'Sound is blocked by the browser' })
    await strip.waitFor()
    assert.equal(await page.evaluate(() => window.strokes), 0)
    await strip.getByRole('button', { name: 'Allow' }).click()
    await eventually(() => strip.count(), 0)
    // Sounds keep a distance of two seconds: the next message that is heard may be a later one.
    const writing = setInterval(() => kim.desk.request('send_message', { chatId: id, message: 'heard' }), 300)
    await eventually(() => page.evaluate(() => window.strokes > 0), true)
    clearInterval(writing)
    await page.getByRole('button', { name: 'Settings' }).click()
    await page.getByLabel('A sound for what customers write').uncheck()
    await page.keyboard.press('Escape')
    const before = await page.evaluate(() => window.strokes)
    await kim.desk.request('send_message', { chatId: id, message: 'silent' })
    await desk.row('customer 1').getByText('silent').waitFor()
    assert.equal(await page.evaluate(() => window.strokes), before)
    await kim.desk.close()
    await context.close()
    await server.stop()
  })
})
