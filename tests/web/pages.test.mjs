// The pages' side of the server: what is served, with which headers, how much of it, and to whom.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { WebSocket } from 'ws'
import { Server } from '../nodejs/server.mjs'
import { axeFindings, openBrowser, openContext, recordRequests } from './kit/browser.mjs'
import { Site } from './kit/site.mjs'
import { Widget } from './kit/widget.mjs'

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'; "
/** Bytes as they are served. */
const BUDGETS = JSON.parse(await readFile(join(import.meta.dirname, 'budgets.json'), 'utf8'))

describe('what is served', { concurrency: true }, () => {
  let server
  let base
  before(async () => {
    server = await Server.start({ WEB__DEMO: 'on' })
    base = (await (await fetch(`${server.url}/web/config`)).json()).base
  })
  after(() => server.stop())
  const get = (path, headers = {}) => fetch(server.url + path, { headers, redirect: 'manual' })

  it('each page has the exact policy, and no page has an inline script or style, or asks another host', async () => {
    for (const [path, frames] of [
      ['/check', "frame-ancestors 'none'"],
      ['/debug', "frame-ancestors 'none'"],
      ['/docs', "frame-ancestors 'none'"],
      ['/desk', "frame-ancestors 'none'"],
      ['/desk/chats/1', "frame-ancestors 'none'"],
      ['/desk/check', "frame-ancestors 'none'"],
      ['/demo', "frame-src 'self'; frame-ancestors 'none'"],
      ['/demo/shop', "frame-ancestors 'self'"],
      ['/demo/agent', "frame-ancestors 'self'"],
    ]) {
      const answer = await get(path)
      assert.equal(answer.status, 200, path)
      const header = (name) => answer.headers.get(name)
      assert.equal(header('content-security-policy'), POLICY + frames)
      assert.deepEqual(
        [
          'x-content-type-options',
          'referrer-policy',
          'cross-origin-opener-policy',
          'cache-control',
          'content-type',
        ].map(header),
        ['nosniff', 'no-referrer', 'same-origin', 'no-cache', 'text/html; charset=utf-8'],
      )
      assert.match(header('permissions-policy'), /camera=\(\).*microphone=\(\)/)
      const page = await answer.text()
      // Data in a page is no script.
      assert.ok(!/<style|style=|<script(?![^>]* (src=|type="application\/json"))|\son\w+=|https?:\/\//.test(page), page)
    }
  })

  it('a script is kept for ever under its hash, compressed, for pages of any origin; another hash is not found', async () => {
    const answer = await get(`${base}client/frontdesk.js`, { origin: 'https://any.example' })
    assert.equal(answer.status, 200)
    const header = (name) => answer.headers.get(name)
    assert.deepEqual(
      [
        'cache-control',
        'access-control-allow-origin',
        'cross-origin-resource-policy',
        'x-content-type-options',
        'content-encoding',
        'vary',
        'content-type',
      ].map(header),
      [
        'public, max-age=31536000, immutable',
        '*',
        'cross-origin',
        'nosniff',
        'gzip',
        'accept-encoding',
        'text/javascript; charset=utf-8',
      ],
    )
    assert.equal(header('access-control-allow-credentials'), null)
    const other = await get('/_/0123456789abcdef/client/frontdesk.js')
    assert.deepEqual([other.status, other.headers.get('cache-control')], [404, 'no-store'])
    for (const path of [
      'client/queue.js',
      'client/README.md',
      'client/package.json',
      'demo/index.html',
      'widget/loader.js',
      '..%2fdesk/index.html',
      'desk/app.js',
      '',
    ]) {
      assert.equal((await get(base + path)).status, 404, path)
    }
  })

  it('the two encodings are the same text, and each has its own tag', async () => {
    for (const path of ['/check', '/widget.js', `${base}ui/tokens.css`]) {
      const plain = await get(path, { 'accept-encoding': 'identity' })
      const tags = [plain.headers.get('etag'), (await get(path)).headers.get('etag')]
      assert.equal(plain.headers.get('content-encoding'), null)
      assert.ok(tags[0] !== tags[1] && tags.every((tag) => /^"[0-9a-f]{16}(-gzip)?"$/.test(tag)), tags.join())
      assert.equal(await plain.text(), await (await get(path)).text())
      for (const known of [tags[1], `"x", W/${tags[1]}`, '*']) {
        const again = await get(path, { 'if-none-match': known })
        assert.deepEqual([again.status, await again.text()], [304, ''])
        assert.equal(again.headers.get('etag'), tags[1])
      }
      assert.equal((await get(path, { 'if-none-match': '"x"' })).status, 200)
      assert.equal((await fetch(server.url + path, { method: 'HEAD' })).status, 200)
      assert.equal((await fetch(server.url + path, { method: 'POST' })).status, 405)
    }
  })

  it('the root leads to the demo, without one to the desk, which may ask the company’s login and no other host', async () => {
    const root = await get('/')
    assert.deepEqual([root.status, root.headers.get('location')], [303, '/demo'])
    const plain = await Server.start({ WEB__DEMO: 'off', WEB__TOKEN_URL: 'https://login.example.org/token?for=desk' })
    const to = await fetch(plain.url, { redirect: 'manual' })
    assert.deepEqual([to.status, to.headers.get('location')], [303, '/desk'])
    for (const [path, asked] of [
      ['/desk', "'self' https://login.example.org"],
      ['/check', "'self'"],
    ]) {
      const policy = (await fetch(plain.url + path)).headers.get('content-security-policy')
      assert.equal(policy, `${POLICY.replace("connect-src 'self'", `connect-src ${asked}`)}frame-ancestors 'none'`)
    }
    assert.deepEqual((await (await fetch(`${plain.url}/web/config`)).json()).login, {
      local: true,
      tokenUrl: 'https://login.example.org/token?for=desk',
    })
    for (const path of ['/demo', '/demo/shop', '/demo/agent', '/demo/session']) {
      assert.equal(
        (await fetch(plain.url + path, { method: path.endsWith('session') ? 'POST' : 'GET' })).status,
        404,
        path,
      )
    }
    await plain.stop()
    const none = await Server.start({ WEB__ENABLED: 'false', WEB__DEMO: 'off' })
    for (const path of ['/', '/desk', '/widget.js', '/check', '/web/config', '/web/check', '/favicon.svg']) {
      assert.equal((await fetch(none.url + path)).status, 404, path)
    }
    await none.stop()
  })

  it('the configuration says what is there, to pages of any origin', async () => {
    const own = await Server.start({ WEB__NAME: 'Example', WEB__ACCENT: '#00aa77', WEB__GREETING: 'Hello!' })
    const answer = await fetch(`${own.url}/web/config`, { headers: { origin: 'https://any.example' } })
    assert.equal(answer.headers.get('access-control-allow-origin'), '*')
    const { version, base, ...rest } = await answer.json()
    assert.match(version, /^\d+\.\d+\.\d+$/)
    assert.match(base, /^\/_\/[0-9a-f]{16}\/$/)
    assert.deepEqual(rest, {
      name: 'Example',
      protocol: 1,
      locales: ['en', 'fr', 'ko', 'zh'],
      features: { typing: true, presence: true },
      login: { local: true },
      widget: { accent: '#00aa77', greeting: 'Hello!' },
    })
    await own.stop()
  })

  it('files of a folder are served as they lie, and never kept', async () => {
    const own = await Server.start({ WEB__DIR: process.env.FRONTDESK_WEB })
    for (const path of ['/_/tree/client/queue.js', '/_/tree/client/chat.js', '/widget.js', '/check']) {
      const answer = await fetch(own.url + path)
      if (path.endsWith('queue.js')) assert.equal(answer.status, 404)
      else assert.deepEqual([answer.status, answer.headers.get('cache-control')], [200, 'no-store'])
    }
    assert.match(await (await fetch(`${own.url}/_/tree/client/chat.js`)).text(), /^\/\/ A chat as its reader sees it/)
    for (const path of ['/_/tree/../../Cargo.toml', '/_/tree/%2e%2e/%2e%2e/src/lib.js', '/_/tree//etc/x.js']) {
      assert.equal((await fetch(own.url + path)).status, 404, path)
    }
    await own.stop()
  })

  it('each part is within its budget', async () => {
    const bytes = async (path) => Number((await get(path, { 'accept-encoding': 'gzip' })).headers.get('content-length'))
    const sum = async (paths) => (await Promise.all(paths.map(bytes))).reduce((all, one) => all + one, 0)
    const idle = ['/widget.js', `${base}widget/launcher.js`]
    const live = [...idle, `${base}client/frontdesk.js`]
    const open = [
      ...live,
      `${base}widget/panel.js`,
      `${base}i18n/fr.js`,
      ...['ui/tokens', 'ui/base', 'ui/chat', 'widget/panel'].map((path) => `${base}${path}.css`),
      '/web/config',
    ]
    const sizes = {
      idle: await sum(idle),
      live: await sum(live),
      open: await sum(open),
      requests: open.length,
      client: await bytes(`${base}client/frontdesk.js`),
      loader: await bytes('/widget.js'),
    }
    for (const language of ['en', 'fr', 'ko', 'zh']) sizes[language] = await bytes(`${base}i18n/${language}.js`)
    console.log(JSON.stringify(sizes))
    for (const [name, size] of Object.entries(sizes))
      assert.ok(size <= BUDGETS[name], `${name} is ${size}, ${BUDGETS[name]} are allowed`)
  })

  it('nothing is served that is not in the folder of the pages', async () => {
    const names = (await readdir(process.env.FRONTDESK_WEB, { recursive: true })).filter((path) =>
      /\.(js|css|html|svg|md|json)$/.test(path),
    )
    assert.ok(names.length > 40)
    assert.ok(!names.some((path) => /\.min\.js|vendor|node_modules/.test(path)), names.join())
  })
})

describe('in a browser', { concurrency: 2 }, () => {
  let browser
  before(async () => (browser = await openBrowser()))
  after(() => browser.close())

  it('the widget asks for what it was said to, within 12 requests; a second visit loads no script', async () => {
    const site = await Site.start()
    const server = await Server.start({ SERVER__ALLOWED_ORIGINS: site.origin })
    site.server = server
    const context = await openContext(browser)
    const visit = async () => {
      const page = await context.newPage()
      const asked = await recordRequests(page)
      await page.goto(site.origin)
      const widget = new Widget(page)
      await widget.open()
      await widget.write('hello')
      await widget.host.locator('.stored').first().waitFor()
      await page.close()
      return asked.filter(({ url }) => url?.startsWith(server.url))
    }
    const first = await visit()
    assert.ok(first.length <= BUDGETS.requests, first.map(({ url }) => url).join('\n'))
    assert.equal(new Set(first.map(({ url }) => url)).size, first.length, 'each once')
    const second = await visit()
    const loaded = second.filter(({ url, bytes }) => /\.(js|css)$/.test(url) && bytes > 0)
    assert.deepEqual(loaded, [])
    await context.close()
    site.stop()
    await server.stop()
  })

  it('the desk is at most 90 KB in at most 40 requests, all of its own server; a second visit loads no script', async () => {
    const server = await Server.start({ WEB__DEMO: 'on' })
    const key = new URL(await server.demo).hash
    const context = await openContext(browser)
    const visit = async () => {
      const page = await context.newPage()
      const asked = await recordRequests(page)
      await page.goto(`${server.url}/desk${key}`)
      await page.locator('.live-line.is-live').waitFor()
      await page.getByText('No chat yet.').waitFor()
      await page.close()
      return asked.filter(({ url }) => url && !url.startsWith('data:'))
    }
    const first = await visit()
    assert.deepEqual(
      first.filter(({ url }) => !url.startsWith(server.url)),
      [],
    )
    assert.ok(first.length <= BUDGETS.deskRequests, first.map(({ url }) => url).join('\n'))
    const bytes = first.reduce((sum, { bytes }) => sum + bytes, 0)
    assert.ok(bytes <= BUDGETS.desk, `${bytes} bytes`)
    const second = await visit()
    assert.deepEqual(
      second.filter(({ url, bytes }) => /\.(js|css)$/.test(url) && bytes > 0),
      [],
    )
    await context.close()
    await server.stop()
  })

  it('a page is asked for again, and answered with 304', async () => {
    const server = await Server.start()
    const context = await openContext(browser)
    const page = await context.newPage()
    await page.goto(`${server.url}/check`)
    const statuses = []
    const cdp = await context.newCDPSession(page)
    await cdp.send('Network.enable')
    cdp.on('Network.responseReceivedExtraInfo', ({ statusCode }) => statuses.push(statusCode))
    await page.goto('about:blank')
    await page.goto(`${server.url}/check`)
    assert.ok(statuses.includes(304), statuses.join())
    await context.close()
    await server.stop()
  })

  it('an admin sees who is live, and ends a session', async () => {
    const server = await Server.start({ WEB__DEMO: 'off' })
    const context = await openContext(browser, {})
    const page = await context.newPage()
    const headers = { authorization: `Bearer ${server.token('kim')}` }
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`, { headers })
    await new Promise((resolve) => socket.once('message', resolve))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    await page.goto(`${server.url}/debug`)
    await page.getByRole('button', { name: 'Show' }).click()
    await page.getByRole('status').getByText(/token/).waitFor()
    await page.locator('input[type=password]').fill(server.admin())
    await page.getByRole('button', { name: 'Show' }).click()
    await page.getByRole('status').getByText('1 sessions, 1 rooms').waitFor()
    await page.getByRole('button', { name: /^End session/ }).click()
    assert.equal(await closed, 4410)
    await context.close()
    await server.stop()
  })

  it('a developer reads the API, and tries it with a token', async () => {
    const server = await Server.start({ WEB__DEMO: 'off' })
    const context = await openContext(browser, {})
    const page = await context.newPage()
    const problems = []
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()))
    page.on('request', (request) => request.url().startsWith(server.url) || problems.push(request.url()))
    await page.goto(`${server.url}/docs`)
    const operation = page.locator('details', { has: page.locator('summary code', { hasText: /^GET \/users\/me$/ }) })
    await operation.locator('summary').click()
    await page.locator('input[type=password]').fill(server.token('kim'))
    await operation.getByRole('button').click()
    await operation.locator('pre', { hasText: '"subject": "kim"' }).waitFor()
    assert.match(await operation.locator('pre').textContent(), /^200 OK/)
    assert.equal(await page.locator('details summary code', { hasText: /^receive_message$/ }).count(), 1)
    assert.deepEqual(problems, [])
    await context.close()
    await server.stop()
  })

  it('axe finds nothing in the pages, light and dark, in four languages', async () => {
    const server = await Server.start({ WEB__DEMO: 'off' })
    const demo = await Server.start({ WEB__DEMO: 'on' })
    const findings = []
    for (const locale of ['en', 'fr', 'ko', 'zh']) {
      for (const colorScheme of ['light', 'dark']) {
        const context = await openContext(browser, { locale, colorScheme })
        const page = await context.newPage()
        for (const [url, ready] of [
          [server.url, 'input[type=password]'],
          [`${server.url}/check`, '[data-name=token] p'],
          ...(locale === 'en'
            ? [
                [`${server.url}/docs`, 'details'],
                [`${server.url}/debug`, 'button'],
              ]
            : []),
          [await demo.demo, 'iframe'],
          [`${demo.url}/demo/shop`, '.goods'],
          [`${demo.url}/demo#wrong`, '[role=alert]'],
        ]) {
          await page.goto('about:blank')
          await page.goto(url)
          await page.locator(ready).first().waitFor()
          if (url.endsWith('/check')) await page.locator('.checks[aria-busy=false]').waitFor()
          assert.equal(await page.evaluate(() => document.documentElement.lang), locale)
          findings.push(...(await axeFindings(page)).map((finding) => `${locale} ${colorScheme} ${url}: ${finding}`))
        }
        await context.close()
      }
    }
    assert.deepEqual(findings, [])
    await server.stop()
    await demo.stop()
  })
})

describe('the demo is closed', () => {
  const keyOf = async (server) => new URL(await server.demo).hash.slice(1)
  const session = (server, body) => fetch(`${server.url}/demo/session`, { method: 'POST', body: JSON.stringify(body) })

  it('a wrong or missing key gives no token', async () => {
    const server = await Server.start({ WEB__DEMO: 'on' })
    const key = await keyOf(server)
    for (const [body, status, code] of [
      [{ key: 'wrong' }, 403, 'forbidden'],
      [{ key: `${key}0` }, 403, 'forbidden'],
      [{ key: '' }, 403, 'forbidden'],
      [{}, 400, 'bad_request'],
      [{ key: 7 }, 400, 'bad_request'],
      [{ key, seconds: 901 }, 400, 'bad_request'],
      [{ key, seconds: 0 }, 400, 'bad_request'],
    ]) {
      const answer = await session(server, body)
      const problem = await answer.json()
      assert.deepEqual([answer.status, problem.code], [status, code], JSON.stringify(body))
      assert.ok(!JSON.stringify(problem).includes(key))
    }
    const good = await session(server, { key })
    assert.equal(good.headers.get('cache-control'), 'no-store')
    const { customer, agent, expiresIn } = await good.json()
    assert.deepEqual([customer.nickname, agent.nickname, expiresIn], ['Kim', 'Ada', 900])
    for (const [{ token }, role] of [
      [customer, 'customer'],
      [agent, 'admin'],
    ]) {
      assert.deepEqual((await server.http(token, 'GET', '/users/me')).body.role, role)
    }
    // The tokens are of this start alone.
    await server.end('SIGTERM')
    await server.run()
    assert.equal((await server.http(agent.token, 'GET', '/users/me')).status, 401)
    assert.equal((await session(server, { key })).status, 403)
    await server.stop()
  })

  it('it is on by itself only while every user is of the demo', async () => {
    const server = await Server.start()
    const key = await keyOf(server)
    const { customer } = await (await session(server, { key })).json()
    await server.http(customer.token, 'GET', '/users/me')
    await server.end('SIGTERM')
    await server.run()
    const again = await keyOf(server)
    assert.notEqual(again, key)
    assert.equal((await session(server, { key: again })).status, 200)
    await server.http(server.token('somebody'), 'GET', '/users/me')
    const over = await session(server, { key: again })
    assert.equal(over.status, 403)
    assert.match((await over.json()).detail, /users of yours/)
    await server.end('SIGTERM')
    await server.run()
    assert.equal((await fetch(`${server.url}/demo`)).status, 404)
    await server.stop()
  })

  it('there is none on PostgreSQL, or with a public key, and asking for one is refused', async () => {
    const database = `demo_${process.pid}`
    const url = new URL(process.env.FRONTDESK_TEST_POSTGRES_URL)
    execFileSync('psql', [url.href, '-qc', `CREATE DATABASE ${database}`])
    url.pathname = `/${database}`
    const postgres = { DATABASE__URL: url.href }
    const server = await Server.start(postgres)
    assert.equal((await fetch(`${server.url}/demo`)).status, 404)
    assert.equal((await fetch(`${server.url}/widget.js`)).status, 200)
    await server.stop()
    const keyed = {
      AUTH__PUBLIC_KEY_FILE: join(process.env.FRONTDESK_WEB, '../tests/keys/rs256.public.pem'),
      AUTH__ALGORITHM: 'RS256',
    }
    for (const settings of [postgres, keyed]) {
      await assert.rejects(Server.start({ ...settings, WEB__DEMO: 'on' }), /web\.demo is on, but/)
    }
    const withKey = await Server.start(keyed)
    assert.equal((await fetch(`${withKey.url}/demo`)).status, 404)
    await withKey.stop()
  })
})
