// The widget in a company's page, in a real browser, beside the real server.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Proxy } from '../nodejs/proxy.mjs'
import { Server } from '../nodejs/server.mjs'
import { axeFindings, openBrowser, openContext } from './kit/browser.mjs'
import { Person, logOf } from './kit/people.mjs'
import { Site } from './kit/site.mjs'
import { Widget, eventually } from './kit/widget.mjs'

let browser
before(async () => (browser = await openBrowser()))
after(() => browser.close())

/** A site and a server that admits it. */
async function open({ settings = {}, proxied = false } = {}) {
  const site = await Site.start()
  const server = await Server.start({ SERVER__ALLOWED_ORIGINS: site.origin, LIMITS__LEEWAY_SECONDS: '0', ...settings })
  site.server = server
  const proxy = proxied ? await Proxy.to(server.port) : undefined
  if (proxy) site.widgetUrl = `${proxy.url}/widget.js`
  return {
    site,
    server,
    proxy,
    async visit(options = {}, path = '/') {
      const context = options.context ?? (await openContext(browser, options))
      const page = await context.newPage()
      await page.goto(site.origin + path)
      return { context, page, widget: new Widget(page) }
    },
    async end() {
      proxy?.stop()
      site.stop()
      await server.stop()
    },
  }
}

/** The messages of a customer's chat, as the server has them. */
async function stored(server, subject = 'kim') {
  const { body } = await server.http(server.token(subject), 'POST', '/chats', {})
  return (await logOf(server, body.id)).map(({ message }) => message)
}

async function agent(server, subject = 'kim') {
  const ada = new Person(server, 'ada', { role: 'admin' })
  const { body } = await server.http(server.token(subject), 'POST', '/chats', {})
  const chat = await ada.follow(body.id)
  return { ada, chat, end: () => ada.desk.close() }
}

describe('a conversation in the widget', { concurrency: 2 }, () => {
  it('a message is stored, then read once it was on the other screen, and not while that is hidden', async () => {
    const all = await open()
    const { widget, context, page } = await all.visit()
    const { ada, chat, end } = await agent(all.server)
    await widget.open()
    await widget.write('hello')
    await widget.shows('hello')
    await ada.until(() => chat.messages.length === 1, 'message')
    assert.equal(await widget.host.locator('.read').count(), 0)
    chat.read()
    await widget.host.locator('.read').waitFor()
    // The customer's tab is hidden: what comes is not read by being there.
    const hide = (state) =>
      page.evaluate((state) => {
        Object.defineProperty(document, 'visibilityState', { value: state, configurable: true })
        document.dispatchEvent(new Event('visibilitychange'))
      }, state)
    await hide('hidden')
    await chat.send('an answer').stored
    await widget.shows('hello', 'an answer')
    assert.notEqual(chat.reads.get(chat.messages[0].author.id), 2)
    await hide('visible')
    await ada.until(() => chat.reads.get(chat.messages[0].author.id) === 2, 'mark')
    assert.deepEqual(context.problems, [])
    await context.close()
    await end()
    await all.end()
  })

  it('20 messages that are typed while the server is killed are there once, in order, on both sides', async () => {
    const all = await open()
    const { widget, context } = await all.visit()
    await widget.open()
    const typed = Array.from({ length: 20 }, (_, at) => `word ${at}`)
    await widget.write(typed[0])
    await widget.shows(typed[0])
    const { ada, chat, end } = await agent(all.server)
    for (const [at, text] of typed.entries()) {
      if (at === 0) continue
      if (at === 5) await all.server.end('SIGKILL')
      if (at === 15) await all.server.run()
      await widget.write(text)
    }
    await widget.shows(...typed)
    await ada.until(() => chat.messages.length === 20, 'messages')
    assert.deepEqual(
      chat.messages.map(({ message }) => message),
      typed,
    )
    assert.deepEqual(await stored(all.server), typed)
    await context.close()
    await end()
    await all.end()
  })

  it('a line that is frozen is noticed and shown, and recovers at once when the network is back', async () => {
    const all = await open({ settings: { LIMITS__HEARTBEAT_MS: '1000' } })
    const { widget, context } = await all.visit()
    await widget.open()
    await widget.write('before')
    await widget.shows('before')
    await context.setOffline(true)
    await widget.says('No connection')
    await widget.write('in the tunnel')
    await widget.shows('before', '[in the tunnel]')
    await context.setOffline(false)
    await widget.shows('before', 'in the tunnel')
    await eventually(() => widget.strip.count(), 0)
    await context.close()
    await all.end()
  })

  it('a silent line without a word from the browser is noticed, too', async () => {
    const all = await open({ settings: { LIMITS__HEARTBEAT_MS: '1000' }, proxied: true })
    const { widget, context } = await all.visit()
    await widget.open()
    await widget.write('before')
    await widget.shows('before')
    all.proxy.freeze()
    await widget.strip.filter({ hasText: /Reconnecting|Connecting/ }).waitFor()
    await widget.write('in the tunnel')
    all.proxy.release()
    await widget.shows('before', 'in the tunnel')
    await context.close()
    await all.end()
  })

  it('typing ends by itself after its sender was killed, and presence does not flicker at a reload', async () => {
    const all = await open()
    const { widget, page, context } = await all.visit()
    await widget.open()
    await widget.write('hello')
    await widget.shows('hello')
    const { ada, chat, end } = await agent(all.server)
    const kim = chat.messages[0].author.id
    const online = []
    chat.on('change', () => online.push(chat.online.includes(kim)))
    await page.reload()
    await widget.open()
    await widget.shows('hello')
    await widget.box.pressSequentially('I am ty')
    await ada.until(() => chat.typists.includes(kim), 'typing')
    assert.ok(!online.includes(false), 'online over the reload')
    await context.close()
    await ada.until(() => chat.typists.length === 0, 'end of the typing')
    await end()
    await all.end()
  })
})

describe('the outbox of the widget', { concurrency: 2 }, () => {
  it('what is sent offline goes out once, in a tab that is opened later', async () => {
    const all = await open()
    const { widget, page, context } = await all.visit()
    await widget.open()
    await widget.write('first')
    await widget.shows('first')
    await context.setOffline(true)
    await widget.says('No connection')
    await widget.write('later')
    await widget.shows('first', '[later]')
    await page.close()
    await context.setOffline(false)
    const again = await all.visit({ context })
    await again.widget.open()
    await again.widget.shows('first', 'later')
    assert.deepEqual(await stored(all.server), ['first', 'later'])
    await context.close()
    await all.end()
  })

  it('two tabs share one outbox: what one has written is stored once, also when it closes', async () => {
    const all = await open()
    const one = await all.visit()
    await one.widget.open()
    const { context } = one
    const two = await all.visit({ context })
    await two.widget.open()
    await one.widget.write('hello')
    await two.widget.shows('hello')
    await context.setOffline(true)
    for (const { widget } of [one, two]) await widget.says('No connection')
    await one.widget.write('from the first')
    await two.widget.write('from the second')
    await one.widget.shows('hello', '[from the first]')
    await two.widget.shows('hello', '[from the second]')
    await one.page.close()
    await context.setOffline(false)
    await eventually(async () => (await two.widget.texts()).sort().join(), 'from the first,from the second,hello')
    assert.deepEqual((await stored(all.server)).sort(), ['from the first', 'from the second', 'hello'])
    await context.close()
    await all.end()
  })

  it('without IndexedDB the chat works, and says that it keeps nothing', async () => {
    const all = await open()
    const context = await openContext(browser)
    await context.addInitScript(() => {
      const refused = () => {
        throw new DOMException('blocked', 'SecurityError')
      }
      Object.defineProperty(window, 'indexedDB', { value: { open: refused, databases: refused } })
    })
    const { widget } = await all.visit({ context })
    await widget.open()
    await widget.write('hello')
    await widget.shows('hello')
    await widget.says('This browser keeps nothing')
    await context.close()
    await all.end()
  })

  it('before the first message nothing is stored in the browser', async () => {
    const all = await open()
    const { widget, page, context } = await all.visit()
    await widget.open()
    await widget.host.locator('.middle').filter({ hasText: 'How can we help' }).waitFor()
    await widget.box.pressSequentially('not yet sent')
    const kept = () =>
      page.evaluate(async () => [
        localStorage.length,
        sessionStorage.length,
        document.cookie,
        (await indexedDB.databases()).length,
        (await caches.keys()).length,
      ])
    assert.deepEqual(await kept(), [0, 0, '', 0, 0])
    assert.deepEqual(await context.cookies(), [])
    await widget.box.press('Enter')
    await widget.shows('not yet sent')
    assert.deepEqual((await kept()).slice(0, 3), [0, 0, ''], 'the outbox alone')
    await context.close()
    await all.end()
  })
})

describe('the user of the widget', { concurrency: 2 }, () => {
  it('a token that expires is renewed without a gap; a callback that fails signs out and keeps the text', async () => {
    const all = await open()
    all.site.seconds = 5
    const { widget, context } = await all.visit()
    await widget.open()
    const { chat, end } = await agent(all.server)
    await eventually(() => all.site.asked > 2, true)
    await chat.send('still there?').stored
    await widget.shows('still there?')
    assert.equal(await widget.strip.count(), 0)
    await widget.box.fill('half a thought')
    all.site.subject = null
    await widget.says('You are signed out')
    assert.equal(await widget.box.inputValue(), 'half a thought')
    await widget.box.press('Enter')
    await widget.shows('still there?', '[half a thought]')
    all.site.subject = 'kim'
    await widget.strip.getByRole('button', { name: 'Sign in again' }).click()
    await widget.shows('still there?', 'half a thought')
    await context.close()
    await end()
    await all.end()
  })

  it('another user of the same page finds no trace of the first', async () => {
    const all = await open()
    const { widget, page, context } = await all.visit()
    await widget.open()
    await widget.write('a secret of kim')
    await widget.shows('a secret of kim')
    await context.setOffline(true)
    await widget.says('No connection')
    await widget.write('unsent secret')
    await widget.box.fill('half a secret')
    all.site.subject = 'lee'
    await context.setOffline(false)
    await page.evaluate(() => window.frontdesk.push(['token', async () => (await fetch('/support-token')).text()]))
    await widget.host.locator('.middle').filter({ hasText: 'lee' }).waitFor()
    const everything = await page.evaluate(async () => {
      const root = document.querySelector('frontdesk-widget').shadowRoot
      const databases = await Promise.all(
        (await indexedDB.databases()).map(
          ({ name }) =>
            new Promise((resolve) => {
              const request = indexedDB.open(name)
              request.onsuccess = () => {
                const all = request.result.transaction('outbox').objectStore('outbox').getAll()
                all.onsuccess = () => resolve(JSON.stringify(all.result))
              }
            }),
        ),
      )
      return [
        document.documentElement.outerHTML,
        root.innerHTML,
        root.querySelector('textarea').value,
        ...databases,
        JSON.stringify({ ...localStorage, ...sessionStorage }),
      ].join()
    })
    assert.ok(!everything.includes('secret'), everything)
    await page.evaluate(() => window.frontdesk.push(['logout']))
    await widget.says('You are signed out')
    await context.close()
    await all.end()
  })
})

describe('the page of the widget', { concurrency: 2 }, () => {
  for (const [name, scripts] of [
    ['an allow-list', (server) => `script-src ${server}`],
    ['strict-dynamic', () => `script-src 'nonce-abc' 'strict-dynamic'`],
  ]) {
    it(`the widget works under a strict policy by ${name}, and the console stays empty`, async () => {
      const all = await open()
      const { site, server } = all
      site.attributes += ' nonce="abc"'
      const sockets = server.url.replace('http', 'ws')
      site.headers['content-security-policy'] =
        `default-src 'none'; style-src 'none'; ${scripts(server.url)}; connect-src 'self' ${server.url} ${sockets}; require-trusted-types-for 'script'; trusted-types 'none'`
      const { widget, context } = await all.visit()
      await widget.open()
      await widget.write('hello https://example.org')
      await widget.shows('hello https://example.org')
      assert.deepEqual(context.problems, [])
      await context.close()
      await all.end()
    })
  }

  it("the page's style changes nothing in the widget, nor the widget's in the page", async () => {
    const all = await open()
    const look = async (style) => {
      all.site.page = (widget) =>
        `<!doctype html><html lang="en"><head><title>A shop</title><style>${style}</style>${widget}</head><body><button id="own">Own</button><p>Text</p></body></html>`
      const { widget, page, context } = await all.visit({ reducedMotion: 'reduce' })
      const own = () =>
        page.evaluate(() =>
          JSON.stringify(
            [...document.querySelectorAll('#own, p, body')].map((element) => {
              const { color, font, display, margin, padding } = getComputedStyle(element)
              return {
                color,
                font,
                display,
                margin,
                padding,
                ...JSON.parse(JSON.stringify(element.getBoundingClientRect())),
              }
            }),
          ),
        )
      await widget.launcher.waitFor({ state: 'attached' })
      const before = await own()
      await widget.launcher.click()
      await widget.box.waitFor()
      await widget.write('hello')
      await eventually(async () => (await widget.texts()).length > 0, true)
      assert.equal(await own(), before)
      const seen = await page.evaluate(() =>
        JSON.stringify(
          [
            ...document.querySelector('frontdesk-widget').shadowRoot.querySelectorAll('button, textarea, h2, dialog'),
          ].map((element) => {
            const { color, backgroundColor, fontSize, fontFamily, display } = getComputedStyle(element)
            const { x, y, width, height } = element.getBoundingClientRect()
            return { color, backgroundColor, fontSize, fontFamily, display, x, y, width, height }
          }),
        ),
      )
      await context.close()
      return seen
    }
    const plain = await look('')
    assert.equal(
      await look(
        '* { all: unset !important } button { display: none !important } frontdesk-widget { display: none !important; position: static !important }',
      ),
      plain,
    )
    await all.end()
  })

  it('without the server the page is as without the script; a server that goes away is named when it is asked for', async () => {
    const all = await open()
    await all.server.end('SIGKILL')
    const { page, widget, context } = await all.visit()
    await page.waitForLoadState()
    assert.equal(await widget.host.count(), 0)
    assert.equal(await page.evaluate(() => document.documentElement.children.length), 2)
    await all.server.run()
    await page.reload()
    await widget.launcher.waitFor()
    await all.server.end('SIGKILL')
    await widget.launcher.click()
    await widget.host.locator('.note').filter({ hasText: 'cannot be reached' }).waitFor()
    await page.locator('#own').click()
    await all.server.run()
    await widget.open()
    await context.close()
    await all.end()
  })

  it('a page without reloads keeps one widget, its draft and its state', async () => {
    const all = await open()
    const { page, widget, context } = await all.visit()
    await widget.open()
    await widget.write('hello')
    await widget.shows('hello')
    await widget.box.fill('a draft')
    await page.evaluate(async () => {
      history.pushState(null, '', '/other')
      document.body.replaceChildren(Object.assign(document.createElement('p'), { textContent: 'another page' }))
      await document.startViewTransition(() => document.body.replaceChildren('a third')).finished
      // As a page does that runs its scripts again.
      const again = document.createElement('script')
      again.src = document.querySelector('script').src
      await new Promise((resolve) => {
        again.onload = resolve
        document.head.append(again)
      })
    })
    assert.equal(await widget.host.count(), 1)
    assert.equal(await widget.box.inputValue(), 'a draft')
    await widget.write('still here')
    await widget.shows('hello', 'still here')
    await context.close()
    await all.end()
  })

  it('an upgrade of the server while a page is open: the widget goes on, then offers the new version', async () => {
    const all = await open()
    const { page, widget, context } = await all.visit()
    await widget.open()
    await widget.write('before')
    await widget.shows('before')
    await widget.box.fill('a draft')
    // A server whose tree has another name, as a newer version has.
    await context.route('**/web/config', async (route) => {
      const answer = await route.fetch()
      await route.fulfill({ response: answer, json: { ...(await answer.json()), base: '/_/0123456789abcdef/' } })
    })
    await all.server.end('SIGKILL')
    await all.server.run()
    await widget.says('There is a new version')
    await widget.write('goes on')
    await widget.shows('before', 'goes on')
    await widget.box.fill('a draft')
    await context.unroute('**/web/config')
    await widget.strip.getByRole('button', { name: 'Update' }).click()
    await eventually(() => widget.strip.count(), 0)
    assert.equal(await widget.host.count(), 1)
    assert.equal(await widget.box.inputValue(), 'a draft')
    await widget.shows('before', 'goes on')
    assert.ok(await page.evaluate(() => Boolean(window.frontdesk.push)))
    await context.close()
    await all.end()
  })

  it('an update that cannot be loaded keeps the widget, and its draft', async () => {
    const all = await open()
    const { widget, page, context } = await all.visit()
    await widget.open()
    await widget.box.fill('a draft')
    await context.route('**/web/config', async (route) => {
      const answer = await route.fetch()
      await route.fulfill({ response: answer, json: { ...(await answer.json()), base: '/_/0123456789abcdef/' } })
    })
    await page.evaluate(() => window.frontdesk.push(['token', async () => (await fetch('/support-token')).text()]))
    await widget.says('There is a new version')
    // The newer script names a launcher that is not there, as a node of the older version answers.
    await context.route(/widget\.js\?/, (route) =>
      route.fulfill({
        contentType: 'text/javascript',
        headers: { 'access-control-allow-origin': '*' },
        body: `window.frontdesk.loading = import('${all.server.url}/_/0123456789abcdef/widget/launcher.js').catch(() => 0)`,
      }),
    )
    await widget.strip.getByRole('button', { name: 'Update' }).click()
    await widget.host.locator('.note').filter({ hasText: 'cannot be reached' }).waitFor()
    assert.equal(await widget.host.count(), 1)
    assert.equal(await widget.box.inputValue(), 'a draft')
    await widget.write('still here')
    await widget.shows('still here')
    await context.close()
    await all.end()
  })

  it('a listener of the page that throws is its own affair; of open and close the last one counts', async () => {
    const all = await open()
    const { widget, page, context } = await all.visit()
    let starts = 0
    page.on('request', (request) => (starts += /widget\.js/.test(request.url())))
    await page.evaluate(() => {
      for (const event of ['open', 'unread', 'state', 'chat']) {
        window.frontdesk.push([
          'on',
          event,
          () => {
            throw new Error(event)
          },
        ])
      }
      window.frontdesk.push(['open'], ['close'], ['open'], ['close'], ['open'])
    })
    await widget.write('hello')
    await widget.shows('hello')
    await page.evaluate(() => window.frontdesk.push(['close'], ['open'], ['close']))
    await widget.panel.waitFor({ state: 'hidden' })
    await widget.open()
    await page.evaluate(() => window.frontdesk.push(['logout']))
    await widget.says('You are signed out')
    assert.deepEqual(await widget.texts(), [])
    assert.equal(starts, 0)
    await context.close()
    await all.end()
  })

  it('a launcher whose scripts are gone after an upgrade starts again by itself', async () => {
    const all = await open()
    const { widget, context } = await all.visit()
    await widget.launcher.waitFor()
    let refused = 0
    await context.route('**/widget/panel.js', (route) =>
      refused++ ? route.continue() : route.fulfill({ status: 404, body: '' }),
    )
    await widget.open()
    await widget.write('hello')
    await widget.shows('hello')
    assert.equal(await widget.host.count(), 1)
    await context.close()
    await all.end()
  })
})

describe('keys and focus in the widget', { concurrency: 2 }, () => {
  it('Enter during a composition never sends; the next one does', async () => {
    const all = await open()
    const { page, widget, context } = await all.visit()
    await widget.open()
    const cdp = await context.newCDPSession(page)
    for (const [steps, word] of [
      [['ㅎ', '하', '한'], '한글'],
      [['n', 'ni', 'ni hao'], '你好'],
    ]) {
      await widget.box.focus()
      for (const text of steps)
        await cdp.send('Input.imeSetComposition', { text, selectionStart: text.length, selectionEnd: text.length })
      // As Chrome sends a key that the input method has taken, and as Safari does.
      for (const keyCode of [229, 13]) {
        await widget.box.evaluate(
          (box, keyCode) =>
            box.dispatchEvent(
              new KeyboardEvent('keydown', {
                key: 'Enter',
                keyCode,
                isComposing: keyCode === 13,
                bubbles: true,
                cancelable: true,
              }),
            ),
          keyCode,
        )
      }
      assert.equal((await widget.texts()).includes(word), false)
      await cdp.send('Input.insertText', { text: word })
      await widget.box.press('Enter')
      await widget.host.locator('.stored .bubble', { hasText: word }).waitFor()
    }
    assert.deepEqual(await widget.texts(), ['한글', '你好'])
    await context.close()
    await all.end()
  })

  it('the closed launcher tells how much is unread, in the language of the page, or in one that the page brings', async () => {
    const all = await open()
    const { page, widget, context } = await all.visit()
    const heard = page.evaluate(
      () => new Promise((resolve) => window.frontdesk.push(['on', 'unread', (count) => count === 2 && resolve(count)])),
    )
    const { chat, end } = await agent(all.server)
    for (const text of ['one', 'two']) await chat.send(text).stored
    assert.equal(await heard, 2)
    await widget.host.getByRole('button', { name: 'Chat, 2 unread' }).waitFor()
    const say = (...command) => page.evaluate((command) => window.frontdesk.push(command), command)
    await say('locale', 'fr-CA')
    await widget.host.getByRole('button', { name: 'Discussion, non lus : 2' }).waitFor()
    await say('locale', 'nl', { 'widget.title': 'Klantenservice', launcher: { unread: 'Chat, {count} ongelezen' } })
    await widget.host.getByRole('button', { name: 'Chat, 2 ongelezen' }).click()
    await widget.host.getByRole('heading', { name: 'Klantenservice' }).waitFor()
    await say('locale', 'no such tag')
    await widget.host.getByRole('heading', { name: 'Support' }).waitFor()
    await widget.host.getByRole('button', { name: 'Chat', exact: true }).waitFor()
    await context.close()
    await end()
    await all.end()
  })

  it('letters that are written with Alt reach the text, and no key of the box is one of the page', async () => {
    const all = await open()
    const { page, widget, context } = await all.visit()
    await page.evaluate(() => addEventListener('keydown', ({ key }) => (window.heard ??= []).push(key)))
    await widget.open()
    await widget.box.pressSequentially('jrne')
    for (const letter of ['ą', 'ś', '@']) {
      await widget.box.dispatchEvent('keydown', { key: letter, altKey: true, bubbles: true, composed: true })
      await page.keyboard.insertText(letter)
    }
    assert.equal(await widget.box.inputValue(), 'jrneąś@')
    assert.equal(await page.evaluate(() => window.heard), undefined)
    await context.close()
    await all.end()
  })

  it('opening goes to the box, Esc back to the launcher; on a phone Tab stays inside', async () => {
    const all = await open()
    const { page, widget, context } = await all.visit()
    const focused = () =>
      page.evaluate(
        () =>
          document.querySelector('frontdesk-widget').shadowRoot.activeElement?.className ||
          document.querySelector('frontdesk-widget').shadowRoot.activeElement?.tagName,
      )
    await widget.launcher.focus()
    await page.keyboard.press('Enter')
    await eventually(focused, 'TEXTAREA')
    assert.equal(await widget.launcher.getAttribute('aria-expanded'), 'true')
    await page.keyboard.press('Escape')
    await eventually(focused, 'launcher')
    assert.equal(await widget.panel.isVisible(), false)
    await page.setViewportSize({ width: 375, height: 667 })
    await page.keyboard.press('Enter')
    await eventually(focused, 'TEXTAREA')
    for (let tabs = 0; tabs < 8; tabs++) {
      await page.keyboard.press('Tab')
      assert.notEqual(await page.evaluate(() => document.activeElement.id), 'own')
    }
    await page.keyboard.press('Escape')
    await eventually(focused, 'launcher')
    await context.close()
    await all.end()
  })
})

describe('the look of the widget', { concurrency: 2 }, () => {
  it('on 320 pixels, at 200 % and with a keyboard up, the box and the last message are in sight, and nothing is to the side', async () => {
    const all = await open()
    const { page, widget, context } = await all.visit()
    await page.setViewportSize({ width: 320, height: 640 })
    await widget.open()
    for (let at = 0; at < 12; at++) await widget.write(`message ${at} ${'x'.repeat(200)}`)
    await eventually(async () => (await widget.texts()).filter((text) => !text.startsWith('[')).length, 12)
    for (const [width, height] of [
      [320, 640],
      [640, 400],
      [320, 300],
    ]) {
      await page.setViewportSize({ width, height })
      await eventually(
        () =>
          page.evaluate(() => {
            const root = document.querySelector('frontdesk-widget').shadowRoot
            const box = root.querySelector('textarea').getBoundingClientRect()
            const last = [...root.querySelectorAll('.message')].at(-1).getBoundingClientRect()
            const log = root.querySelector('.log')
            const sideways =
              [...root.querySelectorAll('dialog, .log')].some((element) => element.scrollWidth > element.clientWidth) ||
              document.documentElement.scrollWidth > innerWidth
            return [
              box.bottom <= innerHeight,
              box.top >= 0,
              last.bottom <= box.top + 1,
              last.bottom > log.getBoundingClientRect().top,
              sideways,
              parseFloat(getComputedStyle(root.querySelector('textarea')).fontSize) >= 16,
            ].join()
          }),
        'true,true,true,true,false,true',
      )
    }
    await context.close()
    await all.end()
  })

  it('dark, reduced motion and forced colours follow the system, live', async () => {
    const all = await open()
    const { page, widget, context } = await all.visit()
    await widget.open()
    await widget.write('hello')
    await widget.shows('hello')
    const ground = () => widget.panel.evaluate((panel) => getComputedStyle(panel).backgroundColor)
    await page.emulateMedia({ colorScheme: 'light' })
    await eventually(ground, 'rgb(255, 255, 255)')
    await page.emulateMedia({ colorScheme: 'dark' })
    await eventually(ground, 'rgb(26, 30, 36)')
    await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
    await eventually(() => widget.panel.evaluate((panel) => getComputedStyle(panel).animationName), 'none')
    await page.emulateMedia({ forcedColors: 'active' })
    await eventually(
      () =>
        widget.host
          .locator('.bubble')
          .first()
          .evaluate((bubble) => getComputedStyle(bubble).borderStyle),
      'solid',
    )
    await page.emulateMedia({ forcedColors: 'none', colorScheme: 'dark' })
    await page.evaluate(() => window.frontdesk.push(['theme', 'light']))
    await eventually(ground, 'rgb(255, 255, 255)')
    await context.close()
    await all.end()
  })

  it('any accent is readable on both grounds, and what is on it', async () => {
    const all = await open()
    const { page, widget, context } = await all.visit()
    await widget.open()
    const contrasts = await page.evaluate(() => {
      const host = document.querySelector('frontdesk-widget')
      const panel = host.shadowRoot.querySelector('dialog')
      const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
      const luminance = (colour) => {
        canvas.fillStyle = colour
        canvas.fillRect(0, 0, 1, 1)
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((part) =>
          part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4,
        )
        return 0.2126 * r + 0.7152 * g + 0.0722 * b
      }
      const contrast = (one, other) => {
        const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b)
        return (light + 0.05) / (dark + 0.05)
      }
      const probe = panel.appendChild(document.createElement('i'))
      const colour = (value) => {
        probe.style.color = value
        return getComputedStyle(probe).color
      }
      const lowest = []
      for (const theme of ['light', 'dark']) {
        window.frontdesk.push(['theme', theme])
        for (const accent of [
          '#ffff00',
          '#00ff00',
          '#ff0000',
          '#0000ff',
          '#000000',
          '#ffffff',
          '#00aa77',
          '#ff8800',
          '#ff00ff',
          '#00ffff',
          '#888888',
        ]) {
          window.frontdesk.push(['accent', accent])
          const act = colour('var(--act)')
          lowest.push(
            contrast(act, colour('var(--surface)')),
            contrast(act, colour('var(--bubble-in)')),
            contrast(act, colour('var(--on-act)')),
          )
        }
      }
      return Math.min(...lowest)
    })
    assert.ok(contrasts >= 4.5, String(contrasts))
    await context.close()
    await all.end()
  })

  it('axe finds nothing in any state, light and dark, in four languages', async () => {
    const all = await open()
    const findings = []
    for (const locale of ['en', 'fr', 'ko', 'zh']) {
      all.site.attributes = `data-token-url="/support-token" data-locale="${locale}"`
      all.site.subject = `kim-${locale}`
      const { page, widget, context } = await all.visit()
      const { chat, end } = await agent(all.server, `kim-${locale}`)
      const look = async (state) => {
        for (const theme of ['light', 'dark']) {
          await page.evaluate((theme) => window.frontdesk.push(['theme', theme]), theme)
          await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
          findings.push(...(await axeFindings(page)).map((finding) => `${locale} ${theme} ${state}: ${finding}`))
        }
      }
      await widget.launcher.waitFor()
      await look('closed')
      await widget.open()
      await widget.host.locator('.middle').filter({ hasText: /./ }).waitFor()
      await look('empty')
      await widget.write('hello https://example.org')
      await chat.send('an answer').stored
      chat.typing()
      await widget.host.locator('.typing').filter({ hasText: /./ }).waitFor()
      await widget.box.fill('x'.repeat(7_990))
      await look('conversation')
      await widget.box.fill('x'.repeat(8_010))
      await look('too long')
      await widget.box.fill('')
      await context.setOffline(true)
      await widget.strip.waitFor()
      await widget.write('waits')
      await widget.host.locator('.pending').waitFor()
      await look('offline')
      await context.setOffline(false)
      await eventually(() => widget.strip.count(), 0)
      await all.server.http(all.server.admin(), 'POST', `/users/${chat.messages[0].author.id}/block`)
      await widget.strip.waitFor()
      await look('blocked')
      await page.evaluate(() => window.frontdesk.push(['logout']))
      await look('signed out')
      await context.close()
      await end()
    }
    assert.deepEqual(findings, [])
    await all.end()
  })
})
