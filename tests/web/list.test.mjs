// The list of messages in the widget: long chats, arrivals, strange texts; and the modules it is made of.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Server } from '../nodejs/server.mjs'
import { openBrowser, openContext } from './kit/browser.mjs'
import { readBack } from './kit/long-chat.mjs'
import { Person } from './kit/people.mjs'
import { Site } from './kit/site.mjs'
import { Widget, eventually } from './kit/widget.mjs'

let browser
let site
let server
before(async () => {
  browser = await openBrowser()
  site = await Site.start()
  server = await Server.start({ SERVER__ALLOWED_ORIGINS: site.origin, LIMITS__SESSION_QUEUE_EVENTS: '100000' })
  site.server = server
})
after(async () => {
  await browser.close()
  site.stop()
  await server.stop()
})

/** A customer's chat with so many messages of an agent, of which some are read. */
async function chatOf(subject, { messages, read = 0 }) {
  const ada = await new Person(server, 'ada', { role: 'admin' }).online()
  const { body } = await server.http(server.token(subject), 'POST', '/chats', {})
  const say = (text) => ada.desk.request('send_message', { chatId: body.id, message: text })
  for (let at = 1; at <= messages; at += 200) {
    await Promise.all(Array.from({ length: Math.min(200, messages - at + 1) }, (_, i) => say(`${at + i}`)))
  }
  if (read) await server.http(server.token(subject), 'PUT', `/chats/${body.id}/read`, { seq: read })
  return { id: body.id, say, end: () => ada.desk.close() }
}

async function visit(subject, options) {
  const context = await openContext(browser, options)
  const page = await context.newPage()
  // Each page is another customer's; the site has one at a time.
  await context.route('**/support-token', (route) => route.fulfill({ body: server.token(subject) }))
  await page.goto(site.origin)
  const widget = new Widget(page)
  await widget.open()
  return { context, page, widget }
}

const inLog = (widget, act, ...data) => widget.host.locator('.log').evaluate(act, ...data)

describe('a long chat', { concurrency: 2 }, () => {
  it('a chat of 10,000 opens at what is new, is few elements, and is read back to the first message without a jump', async () => {
    const chat = await chatOf('long', { messages: 10_000, read: 9_900 })
    const { widget, context } = await visit('long')
    await widget.host.locator('.new').waitFor()
    await eventually(
      () =>
        inLog(widget, (log) => {
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
    const { jump, most, first } = await widget.host.locator('.log').evaluate(readBack)
    assert.equal(first, '1')
    assert.ok(jump < 2, `the message under the eye moved by ${jump} px`)
    assert.ok(most <= 400, `${most} elements`)
    assert.deepEqual(context.problems, [])
    await context.close()
    await chat.end()
  })

  it('arrivals do not move what is read; a pill tells of them, and leads to the end', async () => {
    const chat = await chatOf('pill', { messages: 80, read: 80 })
    const { widget, context } = await visit('pill')
    await widget.host.locator('.bubble').filter({ hasText: /^80$/ }).waitFor()
    await inLog(widget, (log) => (log.scrollTop = 600))
    const eye = () =>
      inLog(widget, (log) => {
        const { top } = log.getBoundingClientRect()
        const row = [...log.querySelectorAll('.message')].find((row) => row.getBoundingClientRect().bottom > top)
        return `${row.querySelector('.bubble').textContent} ${Math.round(row.getBoundingClientRect().top)}`
      })
    // A page may come before it first, after which it stands still.
    await inLog(widget, () => new Promise((resolve) => setTimeout(resolve, 300)))
    const before = await eye()
    for (const text of ['a', 'b', 'c']) await chat.say(text)
    const pill = widget.host.getByRole('button', { name: '3 new' })
    await pill.waitFor()
    assert.equal(await eye(), before)
    await pill.click()
    await eventually(() => inLog(widget, (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 2), true)
    await pill.waitFor({ state: 'hidden' })
    await context.close()
    await chat.end()
  })

  it('a long answer is shown from its start', async () => {
    const chat = await chatOf('answer', { messages: 20, read: 20 })
    const { widget, context } = await visit('answer')
    await widget.host.locator('.bubble').filter({ hasText: /^20$/ }).waitFor()
    await chat.say(`the start\n${'line\n'.repeat(200)}`)
    await eventually(
      () =>
        inLog(widget, (log) => {
          const row = [...log.querySelectorAll('.message')].at(-1).getBoundingClientRect()
          const { top } = log.getBoundingClientRect()
          return row.height > log.clientHeight && Math.abs(row.top - top) < 24
        }),
      true,
    )
    await context.close()
    await chat.end()
  })

  it('a new message is put into the live region once; of a replay of 300 nothing is said', async () => {
    const chat = await chatOf('live', { messages: 10, read: 10 })
    const { widget, context } = await visit('live')
    await widget.host.locator('.bubble').filter({ hasText: /^10$/ }).waitFor()
    await inLog(widget, (log) => {
      window.said = []
      new MutationObserver((changes) => {
        const isLive = log.ariaLive !== 'off' && log.ariaBusy !== 'true'
        for (const { addedNodes } of changes)
          for (const node of addedNodes)
            if (isLive && node.matches?.('li')) window.said.push(node.querySelector('.bubble')?.textContent)
      }).observe(log, { childList: true, subtree: true })
    })
    const said = () => widget.page.evaluate(() => window.said.join())
    await chat.say('news')
    await eventually(said, 'news')
    await context.setOffline(true)
    await widget.strip.waitFor()
    for (let at = 0; at < 300; at++) await chat.say(`missed ${at}`)
    await context.setOffline(false)
    await widget.host
      .locator('.bubble')
      .filter({ hasText: /^missed 299$/ })
      .waitFor()
    await eventually(said, 'news')
    await chat.say('again')
    await eventually(said, 'news,again')
    await context.close()
    await chat.end()
  })

  it('one stop of Tab leads into the messages; arrows, Home and End go from one to the next', async () => {
    const chat = await chatOf('arrows', { messages: 5, read: 5 })
    const { widget, page, context } = await visit('arrows')
    await widget.host.locator('.bubble').filter({ hasText: /^5$/ }).waitFor()
    await widget.box.focus()
    await page.keyboard.press('Shift+Tab')
    const at = () =>
      page.evaluate(
        () =>
          document.querySelector('frontdesk-widget').shadowRoot.activeElement?.querySelector?.(':scope > .bubble')
            ?.textContent,
      )
    for (const [key, text] of [
      ['ArrowUp', '5'],
      ['ArrowUp', '4'],
      ['Home', '1'],
      ['ArrowDown', '2'],
      ['End', '5'],
    ]) {
      await page.keyboard.press(key)
      assert.equal(await at(), text)
    }
    await context.close()
    await chat.end()
  })
})

describe('a strange text', () => {
  it('is shown as text: markup, links that would run, turned directions, 8,000 characters without a space', async () => {
    const chat = await chatOf('strange', { messages: 1, read: 1 })
    const { widget, page, context } = await visit('strange')
    await page.evaluate(() => (window.ran = 0))
    const texts = [
      '<img src=x onerror="window.ran++"><script>window.ran++</script>',
      'javascript:window.ran++ data:text/html,<script>1</script> https://example.org/a_(b). mailto:kim@example.org',
      '\u202egpj.exe\u202c \u2066x\u2069 مرحبا hello',
      'W'.repeat(8_000),
      '&lt;b&gt; ${1} {{2}} <b>bold</b>',
    ]
    for (const text of texts) await chat.say(text)
    await widget.host.locator('.bubble', { hasText: '{{2}}' }).waitFor()
    const shown = await widget.host
      .locator('.bubble')
      .evaluateAll((bubbles) => bubbles.map(({ textContent }) => textContent))
    const plain = texts.map((text) => text.replace(/[\u202a-\u202e\u2066-\u2069]/g, ''))
    assert.deepEqual(shown.slice(-5), plain)
    const links = await widget.host
      .locator('.bubble a')
      .evaluateAll((all) => all.map(({ href, rel, target }) => [href, rel, target].join(' ')))
    const rel = 'noopener noreferrer nofollow _blank'
    assert.deepEqual(links, [`https://example.org/a_(b) ${rel}`, `mailto:kim@example.org ${rel}`])
    const overflow = await inLog(
      widget,
      (log) =>
        log.scrollWidth > log.clientWidth ||
        [...log.querySelectorAll('.bubble')].some((bubble) => bubble.scrollWidth > bubble.clientWidth + 1),
    )
    assert.equal(overflow, false)
    assert.equal(await page.evaluate(() => window.ran), 0)
    assert.deepEqual(context.problems, [])
    await context.close()
    await chat.end()
  })
})
