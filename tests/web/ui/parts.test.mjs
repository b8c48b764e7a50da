// The parts of the shared UI alone: links and names, effects, the box.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { openBrowser } from '../kit/browser.mjs'
import { eventually } from '../kit/widget.mjs'
import { openFiles, openStage } from './stage.mjs'

const load = (path) => import(pathToFileURL(join(process.env.FRONTDESK_WEB, path)))
const { partsOf } = await load('ui/format.js')
const { translator } = await load('ui/i18n.js')

describe('texts', () => {
  // It would take minutes, if each of the points were a new beginning of the end.
  it('a link with a tail of any length is found at once', () => {
    const tail = '.'.repeat(300_000)
    assert.deepEqual(
      partsOf(`https://a.example/${tail}`).map(({ text }) => text.length),
      ['https://a.example/'.length, tail.length],
    )
    assert.equal(partsOf(`https://a.example/${tail}x`)[0].text.length, `https://a.example/${tail}x`.length)
  })

  it('a name turns nothing but itself', () => {
    const t = translator('en', { typing: '{names} is typing…' })
    assert.equal(t('typing', { names: '\u202eadA\u2067' }), 'adA is typing…')
  })
})

describe('in a page', { concurrency: 2 }, () => {
  let browser
  let files
  before(async () => {
    browser = await openBrowser()
    files = await openFiles()
  })
  after(async () => {
    await browser.close()
    files.close()
    files.closeAllConnections()
  })

  it('an effect that throws is reported, and keeps no other one from running', async () => {
    const { page, context } = await openStage(browser, files)
    const seen = await page.evaluate(async () => {
      const { effect, signal } = await import('/ui/view.js')
      const reported = new Promise((resolve) => addEventListener('error', ({ message }) => resolve(message)))
      const count = signal(0)
      const seen = []
      effect(() => {
        if (count.value === 1) throw new Error('the first one')
      })
      effect(() => void seen.push(count.value))
      count.value = 1
      count.value = 2
      return [...seen, await reported]
    })
    assert.deepEqual(seen, [0, 1, 2, 'Uncaught Error: the first one'])
    await context.close()
  })

  it('an effect that changes what it follows comes to an end', async () => {
    const { page, context } = await openStage(browser, files)
    const rounds = await page.evaluate(async () => {
      const { effect, signal } = await import('/ui/view.js')
      const count = signal(0)
      let rounds = 0
      const end = effect(() => {
        rounds += 1
        count.value += 1
      })
      end()
      count.value = 0
      return rounds
    })
    assert.ok(rounds > 1 && rounds <= 102, `${rounds} rounds`)
    await context.close()
  })

  it('what waits for a connection says so, and what is on its way says that', async () => {
    const { page, stage, context } = await openStage(browser, files)
    await page.evaluate(() => window.stage.add({ author: 1, state: 'pending', message: 'mine' }))
    const state = () => stage.locator('.meta').textContent()
    assert.equal(await state(), 'Sending')
    await page.evaluate(() => window.stage.list.show(window.stage.chat, { isLive: false }))
    assert.equal(await state(), 'Waiting')
    await page.evaluate(() => window.stage.show())
    assert.equal(await state(), 'Sending')
    assert.deepEqual(context.problems, [])
    await context.close()
  })

  it('a text that comes back to the box stands before what is being written', async () => {
    const { page, stage, context } = await openStage(browser, files)
    const restore = (text) => page.evaluate((text) => window.stage.composer.restore(text), text)
    await restore('too long')
    const box = stage.locator('textarea')
    assert.equal(await box.inputValue(), 'too long')
    await box.fill('a draft')
    await restore('too long')
    assert.equal(await box.inputValue(), 'too long\na draft')
    assert.equal(await page.evaluate(() => window.stage.root.activeElement.tagName), 'TEXTAREA')
    await context.close()
  })

  it('the box grows with its text up to a limit, counts characters as the server does, and keeps a draft that is refused', async () => {
    const { page, stage, context } = await openStage(browser, files, { limit: 10 })
    const box = stage.locator('textarea')
    const height = () => box.evaluate(({ offsetHeight }) => offsetHeight)
    const low = await height()
    await box.fill('a\n\n\nb')
    assert.ok((await height()) > low)
    await box.fill('\n'.repeat(90))
    assert.ok((await height()) <= 170)
    // Ten of them, in twenty units of JavaScript and forty bytes.
    await box.fill('😀'.repeat(10))
    await box.press('Enter')
    await eventually(() => page.evaluate(() => window.stage.sent.join()), '😀'.repeat(10))
    await box.fill('😀'.repeat(11))
    await box.press('Enter')
    await box.press('Shift+Enter')
    assert.equal(await box.inputValue(), `${'😀'.repeat(11)}\n`)
    await box.fill(' \n ')
    await box.press('Enter')
    assert.equal(await page.evaluate(() => window.stage.sent.length), 1)
    await context.close()
  })
})
