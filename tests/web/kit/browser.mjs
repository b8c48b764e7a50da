// A real browser, with pages that note what goes wrong in them.

import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { chromium } from 'playwright-core'

/** Debian's; another one by its path. */
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
/** Limit of every wait in a page, in milliseconds. It measures nothing. */
const LIMIT = 20_000

export async function openBrowser() {
  // No sandbox: it needs rights that containers lack, and the pages are our own.
  return chromium.launch({
    executablePath: CHROMIUM,
    // Sound waits for a gesture, as it does outside of tests.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--autoplay-policy=document-user-activation-required',
    ],
  })
}

/** A person's own browser: no storage is shared with another one's. */
export async function openContext(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en', ...options })
  context.setDefaultTimeout(LIMIT)
  context.problems = []
  context.on('weberror', (error) => context.problems.push(String(error.error())))
  context.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') context.problems.push(message.text())
  })
  return context
}

/** The requests of a page from now on, each with the bytes that came over the network: 0 from the browser's cache. */
export async function recordRequests(page) {
  const requests = []
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Network.enable')
  const urls = new Map()
  const cached = new Set()
  cdp.on('Network.requestWillBeSent', ({ requestId, request }) => urls.set(requestId, request.url))
  cdp.on('Network.requestServedFromCache', ({ requestId }) => cached.add(requestId))
  cdp.on('Network.loadingFinished', ({ requestId, encodedDataLength }) =>
    requests.push({ url: urls.get(requestId), bytes: cached.has(requestId) ? 0 : encodedDataLength }),
  )
  return requests
}

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe finds in a page: nothing, in words. */
export async function axeFindings(page, options = {}) {
  // Evaluated, not added as a script: the pages' policies allow no other script.
  await page.evaluate(axe)
  const found = await page.evaluate(async (options) => {
    const { violations } = await window.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      ...options,
    })
    return violations.map(
      ({ id, nodes }) =>
        `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join('; ')}`,
    )
  }, options)
  return found
}
