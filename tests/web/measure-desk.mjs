// Measures the desk: how soon an agent sees the list and a chat, what long lists and long chats cost, and whether it
// grows. `scripts/bench web` runs it, after measure.mjs. Medians of several visits.

import { Server } from '../nodejs/server.mjs'
import { openBrowser, openContext } from './kit/browser.mjs'
import { Person } from './kit/people.mjs'
import { eventually } from './kit/widget.mjs'

const RUNS = Number(process.argv[2] ?? 7)
/** A quarter of this machine, on what DevTools calls fast 4G. */
const CPU = 4
const NETWORK = { offline: false, latency: 165, downloadThroughput: 8.1e6 / 8, uploadThroughput: 1.35e6 / 8 }
const CHATS = 5_000
const LONG_CHAT = 10_000
/** An hour of 20 messages a second, sent as fast as they are taken. */
const HOUR = 20 * 3_600
const PEOPLE = 40

const browser = await openBrowser()
const server = await Server.start({ WEB__DEMO: 'on', LIMITS__SESSION_QUEUE_EVENTS: '100000' })
const address = `${server.url}/desk${new URL(await server.demo).hash}`

/** Notes in the page when the list is there, and how long tasks last. */
function watch() {
  window.listed = new Promise((resolve) => {
    const look = () => (document.querySelector('.chat-row') ? resolve(performance.now()) : requestAnimationFrame(look))
    requestAnimationFrame(look)
  })
  window.tasks = []
  new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({
    type: 'longtask',
    buffered: true,
  })
}

const longest = (page) => page.evaluate(() => Math.max(0, ...window.tasks.splice(0)))

async function visit(context, { cpu = CPU, isFar = false } = {}) {
  const page = await context.newPage()
  const cdp = await context.newCDPSession(page)
  await cdp.send('Network.enable')
  if (isFar) await cdp.send('Network.emulateNetworkConditions', NETWORK)
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: cpu })
  await page.addInitScript(watch)
  await page.goto(address)
  // Not by a locator: the script that one puts into the page would be measured, too.
  const { result } = await cdp.send('Runtime.evaluate', { expression: 'window.listed', awaitPromise: true })
  return { page, cdp, list: result.value }
}

/** Time from the press on a chat to its messages, in milliseconds, in the page. */
const timeOfSwitch = (page, id) =>
  page.evaluate(
    (id) =>
      new Promise((resolve) => {
        const began = performance.now()
        document.querySelector(`.chat-row[href$="/chats/${id}"]`).click()
        const look = () =>
          location.pathname.endsWith(`/chats/${id}`) && document.querySelector('.thread .message.stored')
            ? resolve(performance.now() - began)
            : requestAnimationFrame(look)
        look()
      }),
    id,
  )

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
const row = (what, values, unit, aim) =>
  console.log(
    `${what.padEnd(60)} ${median(values).toFixed(0)} ${unit} (${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)})${aim ? `; aim: ${aim}` : ''}`,
  )

// Chats, of which the latest have a few messages, and one that is long.
for (let at = 0; at < CHATS; at += 50) {
  const names = Array.from({ length: 50 }, (_, i) => `customer ${at + i}`)
  await Promise.all(names.map((name) => server.http(server.token(name), 'POST', '/chats', {})))
}
const people = []
for (let at = 0; at < PEOPLE; at++) {
  const person = await new Person(server, `person ${at}`).online()
  const { body } = await server.http(server.token(`person ${at}`), 'POST', '/chats', {})
  const say = (message) => person.desk.request('send_message', { chatId: body.id, message })
  for (let i = 0; i < 5; i++) await say(`message ${i} of person ${at}`)
  people.push({ id: body.id, say })
}
const last = people.at(-1)

for (const isFar of [false, true]) {
  const [cold, warm, switches] = [[], [], []]
  for (let run = 0; run < RUNS; run++) {
    const context = await openContext(browser)
    const first = await visit(context, { isFar })
    cold.push(first.list)
    await first.page.close()
    const second = await visit(context, { isFar })
    warm.push(second.list)
    // The chats in sight are read ahead.
    await second.page.waitForLoadState('networkidle')
    for (const { id } of people.slice(-7, -1)) switches.push(await timeOfSwitch(second.page, id))
    await context.close()
  }
  console.log(`the desk, CPU × ${CPU}, ${isFar ? 'fast 4G' : 'no network between'}, ${RUNS} visits; medians`)
  row('list in sight after the navigation, cold', cold, 'ms', 'at most 1500')
  row('the same, warm', warm, 'ms', 'at most 600')
  row('messages in sight after the press on another chat', switches, 'ms', 'at most 100')
}

console.log('the same, CPU × 1')
const context = await openContext(browser)
const { page, cdp } = await visit(context, { cpu: 1 })
await longest(page)
await eventually(
  () =>
    page.locator('.chats-scroll').evaluate((scroller) => {
      scroller.scrollTop = scroller.scrollHeight
      return Number(scroller.querySelector('li')?.ariaSetSize ?? 0) >= 5_000
    }),
  true,
).catch(() => undefined)
row('longest task while all chats come into the list', [await longest(page)], 'ms', 'none over 50')
await page.locator('.chats-scroll').evaluate(async (scroller) => {
  for (let top = 0; top < scroller.scrollHeight; top += 2_000) {
    scroller.scrollTop = top
    await new Promise((resolve) => requestAnimationFrame(resolve))
  }
  scroller.scrollTop = 0
})
row('longest task while they are scrolled through', [await longest(page)], 'ms', 'none over 50')
for (const { say } of people) await say('up')
row('longest task while 40 of them move', [await longest(page)], 'ms', 'none over 50')

for (let at = 0; at < LONG_CHAT; at += 200) {
  await Promise.all(Array.from({ length: 200 }, (_, i) => last.say(`${at + i}`)))
}
await longest(page)
await page.locator(`.chat-row[href$="/chats/${last.id}"]`).click()
await page.locator('.thread .message').first().waitFor()
await page.locator('.thread .log').evaluate(async (log) => {
  const deadline = performance.now() + 60_000
  while (performance.now() < deadline && !log.querySelector('.bubble')?.textContent.startsWith('message 0')) {
    log.scrollTop = 400
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
  }
})
row('longest task while a chat of 10,000 is read back', [await longest(page)], 'ms', 'none over 50')

const heap = async () => {
  // What the first collection finishes, the second finds.
  await cdp.send('HeapProfiler.collectGarbage')
  await new Promise((resolve) => setTimeout(resolve, 300))
  await cdp.send('HeapProfiler.collectGarbage')
  const { metrics } = await cdp.send('Performance.getMetrics')
  return metrics.find(({ name }) => name === 'JSHeapUsedSize').value / 2 ** 20
}
await cdp.send('Performance.enable')
await page.reload()
await page.locator('.chat-row').first().waitFor()
// At its own pace, until all of the chats have been in sight: those are held from then on.
for (let sent = 0; sent < PEOPLE * 15; sent++) {
  await people[(sent * 7) % PEOPLE].say(`pace ${sent}`)
  await new Promise((resolve) => setTimeout(resolve, 50))
}
const [heaps, tasks] = [[], []]
for (let at = 0; at < HOUR; at += HOUR / 12) {
  for (let sent = 0; sent < HOUR / 12; sent += PEOPLE * 5) {
    // Anybody's turn: in step, all chats would drop their oldest messages at the same time.
    const anybody = () => people[Math.floor(Math.random() * PEOPLE)]
    await Promise.all(Array.from({ length: PEOPLE * 5 }, (_, i) => anybody().say(`hour ${at + sent + i}`)))
  }
  await page.locator('.live-line.is-live').waitFor()
  tasks.push(await longest(page))
  heaps.push(await heap())
  // The collection was a long one.
  await longest(page)
}
console.log(`heap in MiB after each twelfth of ${HOUR} messages: ${heaps.map((mib) => mib.toFixed(1)).join(' ')}`)
// A chat drops its oldest messages many at a time, so that single values go up and down all the same.
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length
const growth = mean(heaps.slice(-4)) / mean(heaps.slice(1, 5))
row('heap in the last third, of that in the first, once all chats are full', [100 * growth], '%', 'at most 110')
row('longest task meanwhile', [Math.max(...tasks)], 'ms', 'none over 50')
await browser.close()
await server.stop()
process.exit()
