// Measures the widget on a slow device: what it costs the page, and how long its user waits.
// `scripts/bench web` runs it. Medians of several visits, each with a new browser profile.

import { Server } from '../nodejs/server.mjs'
import { openBrowser, openContext } from './kit/browser.mjs'
import { Site } from './kit/site.mjs'
import { Widget } from './kit/widget.mjs'

const RUNS = Number(process.argv[2] ?? 7)
/** A middling phone: a quarter of this machine, on what DevTools calls fast 4G. */
const CPU = 4
const NETWORK = { offline: false, latency: 165, downloadThroughput: 8.1e6 / 8, uploadThroughput: 1.35e6 / 8 }
/** Milliseconds of a task from which on it counts as long, by the platform's definition. */
const LONG = 50

const browser = await openBrowser()
const site = await Site.start()
const server = await Server.start({ SERVER__ALLOWED_ORIGINS: site.origin })
site.server = server

/** Notes in the page what happens to it. */
function watch() {
  window.seen = { tasks: [], shift: 0, launcher: null }
  new PerformanceObserver((list) =>
    window.seen.tasks.push(...list.getEntries().map(({ duration }) => duration)),
  ).observe({ type: 'longtask', buffered: true })
  new PerformanceObserver((list) =>
    list.getEntries().forEach(({ value, hadRecentInput }) => (window.seen.shift += hadRecentInput ? 0 : value)),
  ).observe({ type: 'layout-shift', buffered: true })
  const look = () => {
    const button = document.querySelector('frontdesk-widget')?.shadowRoot.querySelector('button.launcher')
    if (button?.getBoundingClientRect().width) window.seen.launcher ??= performance.now()
    else requestAnimationFrame(look)
  }
  requestAnimationFrame(look)
}

async function visit(context, { withWidget = true } = {}) {
  const page = await context.newPage()
  const cdp = await context.newCDPSession(page)
  await cdp.send('Network.enable')
  await cdp.send('Network.emulateNetworkConditions', NETWORK)
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: CPU })
  await page.addInitScript(watch)
  await page.goto(site.origin + (withWidget ? '/' : '/plain'))
  const widget = new Widget(page)
  if (withWidget) await widget.launcher.waitFor()
  // The client is loaded and connected when the page is idle.
  await page.waitForLoadState('networkidle')
  const atRest = await page.evaluate(() => window.seen)
  if (!withWidget) return { ...atRest, page }
  const typeable = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const { shadowRoot } = document.querySelector('frontdesk-widget')
        const began = performance.now()
        const look = () =>
          shadowRoot.activeElement?.tagName === 'TEXTAREA'
            ? resolve(performance.now() - began)
            : requestAnimationFrame(look)
        // A finger: no pointer has come near before.
        shadowRoot.querySelector('button.launcher').click()
        look()
      }),
  )
  const after = await page.evaluate(() => window.seen)
  return {
    launcher: atRest.launcher,
    tasks: atRest.tasks,
    shift: after.shift,
    typeable,
    openTasks: after.tasks.slice(atRest.tasks.length),
    page,
  }
}

const blocked = (tasks) => tasks.reduce((sum, duration) => sum + duration - LONG, 0)
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
const all = { launcher: [], longest: [], cold: [], warm: [], shift: [], blocked: [], plainBlocked: [], openLongest: [] }
const plainPage = site.page
site.page = (tag) => plainPage(tag)
for (let run = 0; run < RUNS; run++) {
  const context = await openContext(browser, { viewport: { width: 390, height: 844 } })
  const cold = await visit(context)
  await cold.page.close()
  const warm = await visit(context)
  await context.close()
  const empty = await openContext(browser, { viewport: { width: 390, height: 844 } })
  site.page = () => plainPage('')
  const plain = await visit(empty, { withWidget: false })
  site.page = plainPage
  await empty.close()
  all.launcher.push(cold.launcher)
  all.longest.push(Math.max(0, ...cold.tasks))
  all.openLongest.push(Math.max(0, ...cold.openTasks))
  all.cold.push(cold.typeable)
  all.warm.push(warm.typeable)
  all.shift.push(cold.shift)
  all.blocked.push(blocked(cold.tasks))
  all.plainBlocked.push(blocked(plain.tasks))
}
await browser.close()
site.stop()
await server.stop()

const row = (what, values, unit, aim) => {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  console.log(
    `${what.padEnd(52)} ${median(values).toFixed(unit ? 0 : 3)} ${unit} (${least.toFixed(unit ? 0 : 3)} to ${most.toFixed(unit ? 0 : 3)})${aim ? `; aim: ${aim}` : ''}`,
  )
}
console.log(`CPU × ${CPU}, fast 4G, ${RUNS} visits; medians`)
row('launcher in sight after the navigation', all.launcher, 'ms', 'at most 1000')
row('longest task until all is at rest', all.longest, 'ms', 'none over 50')
row('panel can be typed into after the press, cold', all.cold, 'ms', 'at most 1200')
row('the same, warm', all.warm, 'ms', 'at most 400')
row('longest task while it opens', all.openLongest, 'ms')
row('time of long tasks over 50 ms, with the widget', all.blocked, 'ms')
row('the same without it', all.plainBlocked, 'ms')
row('layout shift', all.shift, '', '0')
process.exit()
