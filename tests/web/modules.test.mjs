// The modules of the pages: languages, elements that follow values, times and links.

import assert from 'node:assert/strict'
import { readFile, readdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { openBrowser, openContext } from './kit/browser.mjs'
import { randomOf, seed } from './kit/random.mjs'

const WEB = process.env.FRONTDESK_WEB
const load = (path) => import(pathToFileURL(join(WEB, path)))
const { partsOf, initials, Times } = await load('ui/format.js')
const { languageOf, translator } = await load('ui/i18n.js')
const { launcherWords } = await load('i18n/launcher.js')
const { itemsOf } = await load('ui/message-items.js')

describe('words', () => {
  const placeholders = (sentence) =>
    [...sentence.matchAll(/\{\w+\}/g)]
      .map(([name]) => name)
      .sort()
      .join()
  // Languages without a singular form have one sentence for every number.
  const isOptional = (key) => key.endsWith('.one')

  for (const folder of ['i18n', 'i18n/pages', 'i18n/desk']) {
    it(`every key of English is in French, Korean and Chinese, with the same values: ${folder}`, async () => {
      const { messages: english } = await load(`${folder}/en.js`)
      for (const language of ['fr', 'ko', 'zh']) {
        const { messages } = await load(`${folder}/${language}.js`)
        for (const [key, sentence] of Object.entries(english)) {
          if (isOptional(key) && !messages[key]) continue
          assert.ok(messages[key], `${language} lacks ${key}`)
          assert.equal(placeholders(messages[key]), placeholders(sentence), `${language} ${key}`)
        }
        for (const key of Object.keys(messages)) assert.ok(english[key], `${language} has ${key}, which English lacks`)
      }
    })
  }

  it('the launcher has its words in all languages', () => {
    for (const words of Object.values(launcherWords))
      assert.deepEqual(Object.keys(words), Object.keys(launcherWords.en))
    assert.deepEqual(Object.keys(launcherWords), ['en', 'fr', 'ko', 'zh'])
  })

  it('every key that the scripts ask for is there, and every key that is there is asked for', async () => {
    const scripts = (await readdir(WEB, { recursive: true })).filter(
      (path) => path.endsWith('.js') && !path.startsWith('i18n/'),
    )
    const code = (await Promise.all(scripts.map((path) => readFile(join(WEB, path), 'utf8')))).join('\n')
    const known = new Set()
    for (const folder of ['i18n', 'i18n/pages', 'i18n/desk'])
      for (const key of Object.keys((await load(`${folder}/en.js`)).messages)) known.add(key)
    for (const [, key] of code.matchAll(/\bt\('([^']+)'/g)) {
      assert.ok(known.has(key) || known.has(`${key}.other`), `${key} is asked for, and missing`)
    }
    for (const key of known) {
      const base = key.replace(/\.(one|other)$/, '')
      const family = base.slice(0, base.lastIndexOf('.') + 1)
      const isAsked =
        code.includes(`'${base}'`) ||
        code.includes('`' + family + '${') ||
        ['error.', 'check.', 'demo.'].some((prefix) => family.startsWith(prefix) && code.includes('`' + prefix))
      assert.ok(isAsked, `${key} is there, and nobody asks for it`)
    }
  })

  it('no script and no page has a sentence of its own', async () => {
    // docs/ and debug/ speak English alone, as the descriptions and the log do that they show.
    const free = ['i18n', 'client', 'docs', 'debug']
    const files = (await readdir(WEB, { recursive: true })).filter(
      (path) => path.endsWith('.js') && !free.includes(path.split('/')[0]),
    )
    for (const path of files) {
      const code = (await readFile(join(WEB, path), 'utf8')).replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
      // Two words with a space between, in a text that is no key, no error for developers and no selector.
      for (const [line] of code.matchAll(/.*(?:textContent|ariaLabel|title|placeholder)\s*[:=]\s*['"`][A-Z].*/g))
        assert.fail(`${path}: ${line}`)
      for (const [line] of code.matchAll(/\bh\('[a-z0-9]+', \{[^}]*\}, '[A-Za-z]{2,}.*/g))
        assert.fail(`${path}: ${line}`)
    }
  })

  it('a number takes its form of the language', () => {
    const english = translator('en', { 'new.one': '{count} message', 'new.other': '{count} messages' })
    assert.deepEqual([english('new', { count: 1 }), english('new', { count: 1_200 })], ['1 message', '1,200 messages'])
    const korean = translator('ko', { 'new.other': '{count}개' })
    assert.equal(korean('new', { count: 1 }), '1개')
    assert.equal(korean('missing'), 'missing')
    assert.deepEqual(
      ['fr-CA', 'FR', 'pt-BR', 'zh-Hant-TW'].map((tag) => languageOf(tag, ['en', 'fr', 'zh'])),
      ['fr', 'fr', 'en', 'zh'],
    )
  })
})

describe('texts and times', () => {
  it('a link ends where its sentence goes on', () => {
    const links = (text) =>
      partsOf(text)
        .filter(({ href }) => href)
        .map(({ text }) => text)
    assert.deepEqual(links('see https://a.example/x, and (https://b.example/y_(z)).'), [
      'https://a.example/x',
      'https://b.example/y_(z)',
    ])
    assert.deepEqual(
      links('javascript:alert(1) data:text/html,x ftp://d.example //e.example www.f.example https://'),
      [],
    )
    assert.equal(
      partsOf('a https://a.example b')
        .map(({ text }) => text)
        .join(''),
      'a https://a.example b',
    )
  })

  it('a time is told as people say it', () => {
    const times = new Times('en')
    const now = new Date(2026, 10, 26, 15, 30).getTime()
    const ago = (ms) => times.ago(now - ms, now)
    assert.deepEqual(
      [ago(10_000), ago(5 * 60_000), ago(3 * 3_600_000)],
      ['now', '5 minutes ago', '12:30 PM'].map((text) =>
        text.replace(' ', times.clock(now).includes('\u202f') && text.includes('PM') ? '\u202f' : ' '),
      ),
    )
    assert.deepEqual([times.day(now, now), times.day(now - 86_400_000, now)], ['today', 'yesterday'])
    assert.match(times.day(new Date(2025, 0, 2).getTime(), now), /2025/)
  })

  it('initials are of a name', () => {
    assert.deepEqual(['Kim Min-seo', 'Ada', '김민서', '  ', 'é f'].map(initials), ['KM', 'A', '김', '?', 'ÉF'])
  })

  it('an author is named once in a row, a day once, and the line before what is new stands once', () => {
    const at = Date.UTC(2026, 10, 26, 12)
    const message = (seq, author, minutes) => ({
      key: `s${seq}`,
      seq,
      state: 'stored',
      own: author === 1,
      author: { id: author, nickname: `u${author}` },
      message: `${seq}`,
      createdAt: new Date(at + minutes * 60_000).toISOString(),
    })
    const messages = [message(1, 1, 0), message(2, 2, 1), message(3, 2, 2), message(4, 2, 20), message(5, 1, 21)]
    const items = itemsOf(messages, {
      newAfter: 2,
      reads: new Map([
        [1, 5],
        [2, 1],
      ]),
      names: new Map([[2, 'u2']]),
      me: 1,
    })
    assert.deepEqual(
      items.map((item) =>
        'day' in item
          ? 'day'
          : 'isNew' in item
            ? 'new'
            : `${item.message.seq}${item.isFirst ? ' first' : ''}${item.isRead ? ' read' : ''}${item.readers.length ? ' reader' : ''}`,
      ),
      ['day', '1 first read reader', '2 first', 'new', '3 first', '4 first', '5 first'],
    )
  })
})

describe('elements', () => {
  let browser
  let files
  before(async () => {
    browser = await openBrowser()
    files = createServer(async (request, response) => {
      if (!request.url.endsWith('.js'))
        return response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>x</title>')
      response.writeHead(200, { 'content-type': 'text/javascript' }).end(await readFile(join(WEB, request.url)))
    })
    await new Promise((resolve) => files.listen(0, '127.0.0.1', resolve))
  })
  after(async () => {
    await browser.close()
    files.close()
    files.closeAllConnections()
  })

  const inPage = async (act, ...data) => {
    const context = await openContext(browser)
    const page = await context.newPage()
    await page.goto(`http://127.0.0.1:${files.address().port}/`)
    const result = await page.evaluate(act, ...data)
    await context.close()
    return result
  }

  it('view.js is short', async () => {
    const lines = (await readFile(join(WEB, 'ui/view.js'), 'utf8')).split('\n').length
    assert.ok(lines < 250, `${lines} lines`)
  })

  for (const way of ['moveBefore', 'insertBefore']) {
    it(`a list keeps focus, selection and scroll through a thousand random moves: ${way}`, async () => {
      const random = randomOf(seed)
      const orders = Array.from({ length: 1_000 }, () => {
        const keys = Array.from({ length: 12 }, (_, key) => key).filter((key) => key === 0 || random() < 0.8)
        return keys.sort(() => random() - 0.5)
      })
      const wrong = await inPage(
        async ([orders, way]) => {
          if (way === 'insertBefore') Reflect.deleteProperty(Element.prototype, 'moveBefore')
          const { h, reconcile } = await import('/ui/view.js')
          const list = document.body.appendChild(h('ul', {}))
          const rows = new Map()
          let made = 0
          const make = (key) => {
            made += key === 0
            const scroll = h('div', {}, h('div', {}, 'x'))
            Object.assign(scroll.style, { height: '20px', overflow: 'auto' })
            scroll.firstChild.style.height = '500px'
            return h('li', {}, h('input', { value: `row ${key}` }), scroll)
          }
          reconcile(list, rows, [0], (key) => key, make)
          const input = list.querySelector('input')
          const scroll = list.querySelector('div')
          input.focus()
          input.setSelectionRange(1, 3)
          scroll.scrollTop = 77
          for (const [at, order] of orders.entries()) {
            reconcile(list, rows, order, (key) => key, make)
            const shown = [...list.children].map((row) => Number(row.querySelector('input').value.slice(4)))
            if (shown.join() !== order.join()) return `order ${at}`
            if (document.activeElement !== input) return `focus ${at}`
            if (input.selectionStart !== 1 || input.selectionEnd !== 3) return `selection ${at}`
            // Only a browser that can move a row keeps what is scrolled in it.
            if (way === 'moveBefore' && scroll.scrollTop !== 77) return `scroll ${at}`
          }
          return made === 1 ? '' : 'made again'
        },
        [orders, way],
      )
      assert.equal(wrong, '', `seed ${seed}`)
    })
  }

  it('an effect follows what it reads, runs once a batch, and ends with its element', async () => {
    const seen = await inPage(async () => {
      const { batch, computed, h, remove, signal } = await import('/ui/view.js')
      const [first, last] = [signal('a'), signal('b')]
      const name = computed(() => `${first.value} ${last.value}`)
      let runs = 0
      const element = h(
        'p',
        { title: () => (runs++, name.value), hidden: () => last.value === 'hidden' },
        () => name.value,
        ' ',
        h('b', {}, () => (first.value === 'x' ? null : last.value)),
      )
      document.body.append(element)
      const seen = [element.outerHTML]
      batch(() => {
        first.value = 'x'
        last.value = 'y'
      })
      seen.push(element.outerHTML, String(runs))
      remove(element)
      first.value = 'z'
      seen.push(String(runs), String(element.isConnected))
      return seen
    })
    assert.deepEqual(seen, ['<p title="a b">a b <b>b</b></p>', '<p title="x y">x y <b></b></p>', '2', '2', 'false'])
  })
})
