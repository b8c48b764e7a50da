// The list of messages alone: what is said of it, what it counts, and where it opens.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { axeFindings, openBrowser } from '../kit/browser.mjs'
import { eventually } from '../kit/widget.mjs'
import { openFiles, openStage } from './stage.mjs'

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

/** Opens the stage, and closes it behind the act; nothing may go wrong in it. */
async function onStage(options, act) {
  const opened = await openStage(browser, files, options)
  await act(opened)
  assert.deepEqual(opened.context.problems, [])
  await opened.context.close()
}

/** The place of the list: at its end, or the text of the row at its top. */
const place = (page) =>
  page.evaluate(() => {
    const log = window.stage.root.querySelector('.log')
    if (log.scrollHeight - log.scrollTop - log.clientHeight < 2) return 'the end'
    const { top } = log.getBoundingClientRect()
    return [...log.querySelectorAll('li')].find((row) => row.getBoundingClientRect().top > top - 2).textContent
  })

/** Frames in which the list does what it puts off. */
const settled = (page) =>
  page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done()))))

describe('what is said of the list', { concurrency: 2 }, () => {
  /** Notes each text that a screen reader says: it is put into a place that is live, and not busy. */
  const listen = (page) =>
    page.evaluate(() => {
      window.said = []
      new MutationObserver((changes) => {
        const added = changes.flatMap(({ addedNodes }) => [...addedNodes])
        for (const node of added) {
          const at = node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement
          const live = at?.closest('[aria-live], [role=log], [role=status]')
          const isLive = live && live.getAttribute('aria-live') !== 'off' && !at.closest('[aria-busy=true]')
          // What is in a row that is said is said with it.
          const isWhole = !added.some((other) => other !== node && other.contains(node))
          if (isLive && isWhole && node.textContent) window.said.push(node.textContent)
        }
      }).observe(window.stage.root, { childList: true, subtree: true })
    })
  const said = (page) => page.evaluate(() => window.said.splice(0).join('|'))

  it('a message that arrives is said; one that is drawn again, as read or as stored, is not', () =>
    onStage({}, async ({ page }) => {
      await page.evaluate(() => window.stage.add({ author: 1, message: 'mine' }))
      await settled(page)
      await listen(page)
      await page.evaluate(() => window.stage.add({ message: 'news' }))
      assert.match(await said(page), /^Adanews[^|]*$/)
      await page.evaluate(() => {
        window.stage.chat.reads = new Map([[2, 2]])
        window.stage.show()
      })
      assert.equal(await page.evaluate(() => window.stage.root.querySelectorAll('.mark').length), 1)
      assert.equal(await said(page), '')
    }))

  it('an own message is not said: that it is sent is said elsewhere', () =>
    onStage({}, async ({ page }) => {
      await page.evaluate(() => window.stage.add({ message: 'hello' }))
      await settled(page)
      await listen(page)
      await page.evaluate(() => window.stage.add({ author: 1, state: 'pending', message: 'mine' }))
      await page.evaluate(() => window.stage.set(1, { state: 'stored', seq: 2, createdAt: new Date().toISOString() }))
      assert.equal(await page.evaluate(() => window.stage.root.querySelectorAll('.message.stored').length), 2)
      assert.equal(await said(page), '')
    }))

  it('the characters that are left are said when they begin to count and when they are over, not at each key', () =>
    onStage({ limit: 100 }, async ({ page, stage }) => {
      await listen(page)
      const box = stage.locator('textarea')
      const write = (count) => box.fill('x'.repeat(count))
      const all = []
      for (const count of [50, 91, 92, 100, 101, 102, 100]) {
        await write(count)
        all.push(await said(page))
      }
      const [left, over, again] = ['9 characters left', '1 character too many', '0 characters left']
      assert.deepEqual(all, ['', left, '', '', over, '', again])
      await write(102)
      assert.equal(await box.getAttribute('aria-invalid'), 'true')
      assert.equal(await stage.locator('.counter').textContent(), '2 characters too many')
      assert.equal(await stage.getByRole('button', { name: 'Send' }).isDisabled(), true)
    }))
})

describe('the place of the reader', { concurrency: 2 }, () => {
  const many = (page, count) =>
    page.evaluate((count) => window.stage.add(...Array.from({ length: count }, () => ({}))), count)

  it('the pill counts what came above a message that was not sent', () =>
    onStage({}, async ({ page, stage }) => {
      await page.evaluate(() => (window.stage.chat.readSeq = 40))
      await many(page, 40)
      await page.evaluate(() =>
        window.stage.add({ author: 1, state: 'failed', error: { code: 'internal' }, message: 'lost' }),
      )
      await eventually(() => place(page), 'the end')
      await settled(page)
      await page.evaluate(() => (window.stage.root.querySelector('.log').scrollTop -= 300))
      await settled(page)
      const before = await place(page)
      await many(page, 3)
      await stage.getByRole('button', { name: '3 new' }).waitFor()
      assert.equal(await place(page), before)
    }))

  it('a long answer is shown from its start, also above a message that was not sent', () =>
    onStage({}, async ({ page }) => {
      await page.evaluate(() =>
        window.stage.add({}, { author: 1, state: 'failed', error: { code: 'internal' }, message: 'lost' }),
      )
      await settled(page)
      await page.evaluate(() => window.stage.add({ message: `the start\n${'line\n'.repeat(100)}` }))
      assert.match(await place(page), /the start/)
    }))

  it('a list that was hidden opens anew: at what came meanwhile, or at its end', () =>
    onStage({}, async ({ page, stage }) => {
      const hide = async (isHidden) => {
        await page.evaluate((isHidden) => (window.stage.host.hidden = isHidden), isHidden)
        await settled(page)
      }
      await page.evaluate(() => (window.stage.chat.readSeq = 40))
      await many(page, 40)
      assert.equal(await stage.locator('.new').count(), 0)
      // More than the list ever has as elements.
      for (const count of [20, 500]) {
        await hide(true)
        await page.evaluate(() => (window.stage.chat.readSeq = window.stage.chat.messages.at(-1).seq))
        const first = await page.evaluate(() => window.stage.chat.messages.length)
        await page.evaluate((count) => {
          // The panel does not draw what nobody sees.
          const { add, list } = window.stage
          list.show = () => undefined
          add(...Array.from({ length: count }, () => ({})))
          delete list.show
          window.stage.host.hidden = false
          window.stage.show()
        }, count)
        await settled(page)
        assert.equal(await place(page), 'New')
        assert.equal(await stage.locator('.new + .message .bubble').textContent(), `message ${first + 1}`)
        assert.ok((await stage.locator('li').count()) <= 400)
      }
      await hide(true)
      await page.evaluate(() => {
        window.stage.chat.readSeq = window.stage.chat.messages.at(-1).seq
        window.stage.host.hidden = false
        window.stage.show()
      })
      await eventually(() => place(page), 'the end')
      assert.equal(await stage.locator('.new').count(), 0)
    }))

  it('what is seen is told up to the last message on the screen, and not while the list is hidden', () =>
    onStage({}, async ({ page }) => {
      const seen = () => page.evaluate(() => Math.max(0, ...window.stage.seen))
      await page.evaluate(() => (window.stage.host.hidden = true))
      await many(page, 60)
      await settled(page)
      assert.equal(await seen(), 0)
      await page.evaluate(() => {
        window.stage.host.hidden = false
        window.stage.show()
      })
      await eventually(async () => (await seen()) > 0, true)
      // Nothing was read before, so it opens at the first one.
      assert.ok((await seen()) < 30, 'what is below the screen is not seen')
      await page.evaluate(() => (window.stage.root.querySelector('.log').scrollTop = 1e6))
      await eventually(seen, 60)
    }))
})

describe('what a row shows', { concurrency: 2 }, () => {
  it('a day that is over is no longer called today', () =>
    onStage(
      { before: (page) => page.clock.install({ time: new Date('2026-11-26T23:00:00') }) },
      async ({ page, stage }) => {
        await page.evaluate(() => window.stage.add({ message: 'late' }))
        assert.deepEqual(await stage.locator('.day').allTextContents(), ['today'])
        await page.clock.setFixedTime(new Date('2026-11-27T08:00:00'))
        await page.evaluate(() => window.stage.add({ message: 'early' }))
        assert.deepEqual(await stage.locator('.day').allTextContents(), ['yesterday', 'today'])
      },
    ))

  it('a failure says why, and offers what can help: the same again, or the text to change', () =>
    onStage({}, async ({ page, stage }) => {
      const buttons = async (code) => {
        await page.evaluate((code) => {
          window.stage.chat.messages = []
          window.stage.add({ author: 1, state: 'failed', error: { code }, message: 'lost' })
        }, code)
        return (await stage.locator('.failure button').allTextContents()).join()
      }
      for (const code of ['too_large', 'bad_request', 'client_id_reused', 'forbidden', 'chat_not_found'])
        assert.equal(await buttons(code), 'Edit,Remove', code)
      await stage.getByRole('button', { name: 'Edit' }).click()
      assert.deepEqual(await page.evaluate(() => window.stage.edited), ['lost'])
      for (const code of ['internal', 'expired', 'outbox_full', 'chat_moved', 'of another version'])
        assert.equal(await buttons(code), 'Try again,Remove', code)
      assert.match(await stage.locator('.failure p').textContent(), /^Not sent\. Something went wrong/)
      await stage.getByRole('button', { name: 'Try again' }).click()
      await stage.getByRole('button', { name: 'Remove' }).click()
      assert.deepEqual(await page.evaluate(() => window.stage.sent), ['again', 'removed'])
    }))

  it("each reader's mark stands on the rail at the last message that they have read, and names them", () =>
    onStage({}, async ({ page, stage }) => {
      await page.evaluate(() => {
        window.stage.add({ author: 2 }, { author: 3 }, { author: 1 }, { author: 1 })
        window.stage.chat.reads = new Map([
          [1, 4],
          [2, 3],
          [3, 2],
        ])
        window.stage.show()
      })
      const rows = await stage.locator('.message').evaluateAll((rows) =>
        rows.map((row) => ({
          marks: [...row.querySelectorAll('.mark')].map(({ textContent }) => textContent).join(),
          title: row.querySelector('.bubble').title.split(' · ').at(-1),
          isRead: Boolean(row.querySelector('.read')),
        })),
      )
      assert.deepEqual(
        rows.map(({ marks, isRead }) => [marks, isRead]),
        [
          ['', false],
          ['B', false],
          ['A', true],
          ['', false],
        ],
      )
      assert.equal(rows[2].title, 'read by Ada')
      const [rail, mark] = await stage.locator('.messages').evaluate((list) => {
        const { right } = list.getBoundingClientRect()
        const mark = list.querySelector('.mark').getBoundingClientRect()
        return [right - 8, (mark.left + mark.right) / 2]
      })
      assert.ok(Math.abs(rail - mark) < 1, `the mark stands at ${mark}, the rail at ${rail}`)
    }))

  for (const locale of ['en', 'fr', 'ko', 'zh']) {
    it(`axe finds nothing in any state of list and box, light and dark: ${locale}`, () =>
      onStage({ locale, limit: 100 }, async ({ page, stage }) => {
        await page.evaluate(() => {
          const { add, chat, composer, show } = window.stage
          const day = 86_400_000
          chat.readSeq = 40
          add(...Array.from({ length: 40 }, (_, at) => ({ author: 1 + (at % 3), at: Date.now() - day })))
          add({ author: 2, message: 'see https://example.org' }, { author: 3 })
          add(
            { author: 1, state: 'pending', message: 'on its way' },
            { author: 1, state: 'failed', error: { code: 'too_large' }, message: 'too long' },
            { author: 1, state: 'failed', error: { code: 'internal' }, message: 'lost' },
          )
          chat.reads = new Map([
            [2, 41],
            [3, 42],
          ])
          show()
          composer.draft = 'x'.repeat(101)
        })
        for (const colorScheme of ['light', 'dark']) {
          await page.emulateMedia({ colorScheme })
          for (const isAtEnd of [true, false]) {
            await stage.locator('.log').evaluate((log, isAtEnd) => (log.scrollTop = isAtEnd ? 1e6 : 900), isAtEnd)
            await settled(page)
            assert.deepEqual(await axeFindings(page), [], `${colorScheme}, ${isAtEnd ? 'end' : 'middle'}`)
          }
        }
      }))
  }
})
