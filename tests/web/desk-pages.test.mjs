// The desk around its conversations: signing in, administration, languages, themes and sizes of screens.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { Server } from '../nodejs/server.mjs'
import { axeFindings, openBrowser, openContext } from './kit/browser.mjs'
import { DeskPage, OWN_LOGIN, openDesk } from './kit/desk.mjs'
import { Person } from './kit/people.mjs'
import { eventually } from './kit/widget.mjs'

const PASSWORD = 'correct horse battery'

let browser
before(async () => (browser = await openBrowser()))
after(() => browser.close())

/** The command line, on a server's configuration. */
function command(server, words, input = '') {
  const own = Object.entries(server.settings).map(([key, value]) => [`FRONTDESK__${key}`, value])
  const env = { ...process.env, ...Object.fromEntries(own) }
  return execFileSync(process.env.FRONTDESK_BINARY, words, { env, input, cwd: server.folder, encoding: 'utf8' })
}

/** An agent with an account. */
const addAgent = (server, name) =>
  command(
    server,
    ['user', 'add', '--email', `${name}@example.org`, '--nickname', name, '--role', 'admin'],
    `${PASSWORD}\n`,
  )

async function openPage(server, options = {}) {
  const context = options.context ?? (await openContext(browser, options))
  const page = await context.newPage()
  await page.goto(`${server.url}${options.path ?? '/desk'}`)
  return { context, page, desk: new DeskPage(page) }
}

async function signIn(page, email, { password = PASSWORD, stays = false } = {}) {
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password').fill(password)
  if (stays) await page.getByLabel('Stay signed in').check()
  await page.getByRole('button', { name: 'Sign in' }).click()
}

const live = (page) => page.locator('.live-line.is-live').waitFor()

async function writes(server, subject, ...texts) {
  const person = new Person(server, subject)
  const chat = await person.follow()
  for (const text of texts) await chat.send(text).stored
  await person.desk.close()
  return chat.id
}

describe('signing in', { concurrency: 2 }, () => {
  it('by an account: a wrong password says so, a reload stays signed in, signing out leaves nothing, a customer is sent away', async () => {
    const server = await Server.start({ WEB__DEMO: 'off' })
    addAgent(server, 'ada')
    await writes(server, 'Kim', 'hello')
    const { context, page, desk } = await openPage(server)
    await signIn(page, 'ada@example.org', { password: 'a wrong password' })
    await page.getByRole('alert').filter({ hasText: 'The e-mail or the password is wrong.' }).waitFor()
    await signIn(page, 'Ada@Example.org')
    await desk.open('Kim')
    await desk.box.fill('a draft')
    await page.reload()
    await eventually(() => desk.box.inputValue(), 'a draft')
    await page.getByRole('button', { name: 'Signed in as ada' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Password').waitFor()
    assert.deepEqual(
      await page.evaluate(() =>
        [...Object.keys(localStorage), ...Object.keys(sessionStorage)].filter((name) => /draft|login/.test(name)),
      ),
      [],
    )
    await fetch(`${server.url}/auth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'kim@example.org', password: PASSWORD }),
    })
    await signIn(page, 'kim@example.org')
    await page.getByText('The desk is for agents').waitFor()
    await page.getByRole('button', { name: 'Sign in as somebody else' }).click()
    await signIn(page, 'ada@example.org')
    await live(page)
    await context.close()
    await server.stop()
  })

  it('ten tabs refresh at once, and nobody is signed out; a logout in one ends all of its login', async () => {
    const server = await Server.start({ WEB__DEMO: 'off' })
    addAgent(server, 'ada')
    const { context, page } = await openPage(server)
    await signIn(page, 'ada@example.org', { stays: true })
    await live(page)
    // Each has no access token yet, and all have the same refresh token.
    const tabs = await Promise.all(Array.from({ length: 10 }, () => openPage(server, { context })))
    await Promise.all(tabs.map(({ page }) => live(page)))
    await Promise.all(tabs.map(({ page }) => page.reload()))
    await Promise.all(tabs.map(({ page }) => live(page)))
    await page.reload()
    await live(page)
    await page.getByRole('button', { name: 'Signed in as ada' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click()
    for (const tab of tabs) await tab.page.getByLabel('Password').waitFor()
    await context.close()
    await server.stop()
  })

  it('a tab that was asleep while another exchanged the token goes on, and so does the other', async () => {
    const server = await Server.start({ WEB__DEMO: 'off' })
    addAgent(server, 'ada')
    const { context, page } = await openPage(server)
    await signIn(page, 'ada@example.org')
    await live(page)
    // A tab opened by another has a copy of its storage: both are of one login.
    const opened = context.waitForEvent('page')
    await page.evaluate(() => void window.open('/desk'))
    const tab = await opened
    await live(tab)
    const held = await tab.evaluate(() => sessionStorage.getItem('frontdesk-login'))
    // Twice: a token goes on for a while until its successor is used.
    for (const _ of [1, 2]) {
      await page.reload()
      await live(page)
    }
    // As a browser restores a tab that it had put away.
    await tab.evaluate((held) => sessionStorage.setItem('frontdesk-login', held), held)
    for (const one of [tab, page, tab]) {
      await one.reload()
      await live(one)
    }
    await context.close()
    await server.stop()
  })

  it('a login that is found to be over while the page is still being read is asked for, and works', async () => {
    const server = await Server.start({ WEB__DEMO: 'off' })
    addAgent(server, 'ada')
    const { context, page } = await openPage(server)
    await signIn(page, 'ada@example.org')
    await live(page)
    await page.evaluate(() => {
      const kept = JSON.parse(sessionStorage.getItem('frontdesk-login'))
      sessionStorage.setItem('frontdesk-login', JSON.stringify({ ...kept, refreshToken: 'of an ended login' }))
    })
    const refused = page.waitForResponse('**/auth/refresh')
    await page.route('**/i18n/desk/en.js', async (route) => {
      await refused
      await eventually(() => page.evaluate(() => sessionStorage.getItem('frontdesk-login')), null)
      await route.continue()
    })
    await page.reload({ waitUntil: 'commit' })
    await signIn(page, 'ada@example.org')
    await live(page)
    await context.close()
    await server.stop()
  })

  it('by the company’s own login: who is signed out there is sent to it; without any login the page says what to do', async () => {
    const server = await Server.start({ ...OWN_LOGIN, WEB__LOGIN_URL: 'https://login.example.org/agents' })
    const { context, page } = await openDesk(browser, server)
    await live(page)
    context.login.subject = null
    await page.reload()
    await page.getByText('You are signed out.').waitFor()
    assert.equal(
      await page.getByRole('link', { name: 'Sign in' }).getAttribute('href'),
      'https://login.example.org/agents',
    )
    context.login.subject = 'ada'
    await page.getByRole('button', { name: 'Try again' }).click()
    await live(page)
    await context.close()
    await server.stop()
    const none = await Server.start({ WEB__DEMO: 'off', AUTH__LOCAL_ACCOUNTS: 'false' })
    const closed = await openPage(none)
    await closed.page.getByText('This server has no login for agents yet').waitFor()
    await closed.context.close()
    await none.stop()
  })

  it('in the demo by its key: the desk is whole, and its address keeps no key', async () => {
    const server = await Server.start({ WEB__DEMO: 'on' })
    const key = new URL(await server.demo).hash
    const { context, page } = await openPage(server, { path: `/desk${key}` })
    await live(page)
    assert.equal(new URL(page.url()).hash, '')
    await context.close()
    await server.stop()
  })
})

describe('administration', { concurrency: 2 }, () => {
  it('users are found, made, blocked with a reason and unblocked; sessions are ended, keys revoked, and each part of the server named', async () => {
    const server = await Server.start(OWN_LOGIN)
    command(server, ['key', 'add', '--name', 'crm', '--scope', 'chats:read'])
    const kim = new Person(server, 'Kim')
    await kim.follow()
    const { context, page } = await openDesk(browser, server)
    await page.getByRole('button', { name: 'Administration' }).click()
    await page.getByRole('button', { name: 'New user' }).click()
    const dialog = page.getByRole('dialog', { name: 'New user' })
    await dialog.getByLabel('Subject').fill('lei')
    await dialog.getByLabel('Name').fill('Wang Lei')
    await dialog.getByRole('button', { name: 'New user' }).click()
    await page.getByRole('cell', { name: 'Wang Lei', exact: true }).waitFor()
    await page.getByLabel('Search users').fill('kim')
    await eventually(() => page.locator('tbody tr').count(), 1)
    await page.getByRole('button', { name: 'Block: Kim' }).click()
    await page.getByRole('dialog').getByLabel('Reason').fill('insults')
    await page.getByRole('dialog').getByRole('button', { name: 'Block', exact: true }).click()
    await page.getByRole('cell', { name: 'Blocked', exact: true }).waitFor()
    await kim.until(() => kim.desk.state.state === 'blocked', 'block')
    await page.getByRole('button', { name: 'Unblock: Kim' }).click()
    await page.getByRole('button', { name: 'Block: Kim' }).waitFor()

    const lei = await new Person(server, 'lei').online()
    const ended = lei.until(() => lei.desk.state.state !== 'online', 'end')
    await page.getByRole('link', { name: 'Sessions' }).click()
    await page.getByText('2 sessions').waitFor()
    await page
      .getByRole('row', { name: /customer/ })
      .getByRole('button')
      .click()
    await ended
    await page.getByRole('link', { name: 'Keys' }).click()
    await page.getByRole('button', { name: 'Revoke: crm' }).click()
    await page.getByRole('cell', { name: 'revoked', exact: true }).waitFor()
    await page.getByRole('link', { name: 'Server' }).click()
    await page.getByRole('definition').filter({ hasText: 'answers' }).waitFor()
    // Back goes back, as everywhere.
    await page.goBack()
    await page.getByRole('cell', { name: 'revoked', exact: true }).waitFor()
    assert.deepEqual(context.problems, [])
    await lei.desk.close()
    await kim.desk.close()
    await context.close()
    await server.stop()
  })
})

describe('every screen', { concurrency: 2 }, () => {
  let server
  let accounts
  let chat
  before(async () => {
    server = await Server.start(OWN_LOGIN)
    accounts = await Server.start({ WEB__DEMO: 'off' })
    chat = await writes(server, 'Kim Min-seo', 'The code SPRING-26 is refused: https://example.org/cart', 'hello?')
    await writes(server, '王磊', '退款')
    await server.http(
      server.admin('bo'),
      'POST',
      `/users/${(await server.http(server.token('王磊'), 'GET', '/users/me')).body.id}/block`,
      {
        reason: 'a reason',
      },
    )
  })
  after(async () => {
    await server.stop()
    await accounts.stop()
  })

  /** Each screen of the desk, one after the other. */
  async function visitAll(options, see) {
    const out = await openPage(accounts, options)
    await out.page.locator('input[type=password]').waitFor()
    await see(out.page, 'sign-in')
    await out.context.close()
    const { context, page, desk } = await openDesk(browser, server, 'ada', options)
    const act = (name) => page.locator(`.rail .${name}`).click()
    const dialog = page.locator('dialog[open]')
    const inDialog = async (name, open) => {
      await open()
      await dialog.waitFor()
      await see(page, name)
      await page.keyboard.press('Escape')
      await dialog.waitFor({ state: 'detached' })
    }
    await desk.rows.first().waitFor()
    await see(page, 'list')
    await page.locator('.search input').fill('Kim')
    await page.locator('.side .found').waitFor()
    await see(page, 'search')
    await page.locator('.search input').press('Escape')
    await inDialog('group', () => page.locator('.side .head button').click())
    await inDialog('help', () => act('help'))
    await inDialog('settings', () => act('settings'))
    await inDialog('palette', () => page.keyboard.press('Control+k'))
    await inDialog('user', () => act('user'))
    for (const corner of ['users', 'sessions', 'keys', 'server']) {
      await page.goto(`${server.url}/desk/${corner}`)
      await page.locator('.corner-page table, .corner-page .hint, .corner-page .parts').first().waitFor()
      await see(page, corner)
    }
    await page.goto(`${server.url}/desk/chats/${chat}`)
    await page.locator('.thread .message').first().waitFor()
    await desk.box.fill('a draft')
    await page.locator('.panel .facts').waitFor()
    await see(page, 'conversation')
    await inDialog('block', () => page.locator('.panel > button').last().click())
    await context.setOffline(true)
    await desk.strip.first().waitFor()
    await see(page, 'offline')
    await context.setOffline(false)
    await eventually(() => desk.strip.count(), 0)
    context.login.subject = null
    await page.reload()
    await page.locator('.screen .acts').waitFor()
    await see(page, 'signed-out')
    await context.close()
  }

  for (const colorScheme of ['light', 'dark']) {
    it(`axe finds nothing on any screen, ${colorScheme}, in four languages, and on a phone`, async () => {
      const findings = []
      for (const locale of ['en', 'fr', 'ko', 'zh']) {
        const see = async (page, name) => {
          assert.equal(await page.evaluate(() => document.documentElement.lang), locale)
          findings.push(...(await axeFindings(page)).map((finding) => `${locale} ${name}: ${finding}`))
        }
        await visitAll({ locale, colorScheme, reducedMotion: 'reduce' }, see)
      }
      const phone = { viewport: { width: 360, height: 700 }, hasTouch: true, isMobile: true, colorScheme }
      const { context, page, desk } = await openDesk(browser, server, 'ada', phone)
      const see = async (name) =>
        findings.push(...(await axeFindings(page)).map((finding) => `phone ${name}: ${finding}`))
      await desk.rows.first().waitFor()
      await see('list')
      await page.goto(`${server.url}/desk/chats/${chat}`)
      await page.locator('.thread .message').first().waitFor()
      await see('conversation')
      await page.locator('.thread .person').click()
      await page.locator('.panel .facts').waitFor()
      await see('panel')
      await context.close()
      assert.deepEqual(findings, [])
    })
  }

  it('at 320 px, at 200 %, and with the keyboard up: box and last message are in sight, nothing scrolls sideways, no field zooms', async () => {
    for (const options of [
      { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true },
      { viewport: { width: 640, height: 400 }, deviceScaleFactor: 2 },
      { viewport: { width: 360, height: 300 }, hasTouch: true, isMobile: true },
    ]) {
      const { context, page, desk } = await openDesk(browser, server, 'ada', {
        ...options,
        path: `/desk/chats/${chat}`,
      })
      const last = page.locator('.thread .bubble').filter({ hasText: /^hello\?$/ })
      await last.waitFor()
      const isInSight = (locator) =>
        locator.evaluate((element) => {
          const { top, bottom, left, right } = element.getBoundingClientRect()
          return top >= 0 && bottom <= innerHeight + 1 && left >= 0 && right <= innerWidth + 1
        })
      await eventually(() => isInSight(last), true)
      assert.ok(await isInSight(desk.box))
      const { wide, small } = await page.evaluate(() => ({
        wide: document.documentElement.scrollWidth - innerWidth,
        small: [...document.querySelectorAll('input, textarea, select')].filter(
          (field) => parseFloat(getComputedStyle(field).fontSize) < 16,
        ).length,
      }))
      assert.ok(wide <= 0, `${wide} px wider than the screen`)
      if (options.hasTouch) assert.equal(small, 0)
      if (options.viewport.width < 720) {
        await page.getByRole('button', { name: 'Back to the chats' }).click()
        await desk.rows.first().waitFor()
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0)
      }
      await context.close()
    }
  })

  it('dark, reduced motion and forced colours follow the system while it is open; a chosen theme does not', async () => {
    const { context, page } = await openDesk(browser, server, 'ada', { colorScheme: 'light' })
    await live(page)
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const light = await ground()
    await page.emulateMedia({ colorScheme: 'dark' })
    await eventually(async () => (await ground()) !== light, true)
    const dark = await ground()
    await page.getByRole('button', { name: 'Settings' }).click()
    await page.getByLabel('Theme').selectOption({ label: 'Light theme' })
    await eventually(ground, light)
    await page.getByLabel('Theme').selectOption({ label: 'Theme of the system' })
    await eventually(ground, dark)
    await page.getByLabel('Language').selectOption('한국어')
    await eventually(() => page.evaluate(() => document.documentElement.lang), 'ko')
    await page.emulateMedia({ colorScheme: 'dark', forcedColors: 'active', reducedMotion: 'reduce' })
    await page.locator('.rail-button').first().waitFor()
    const moving = await page.evaluate(
      () =>
        [...document.querySelectorAll('.desk, .desk *')].filter((element) => {
          const { transitionDuration, animationDuration } = getComputedStyle(element)
          return [transitionDuration, animationDuration].some((times) =>
            times.split(',').some((time) => parseFloat(time) > 0.01),
          )
        }).length,
    )
    assert.equal(moving, 0)
    await context.close()
  })

  it('an upgrade of the server while the desk is open: it goes on, then offers the new version', async () => {
    const own = await Server.start(OWN_LOGIN)
    await writes(own, 'Kim', 'hello')
    const { context, page, desk } = await openDesk(browser, own)
    await desk.open('Kim')
    await context.route('**/web/config', async (route) => {
      const answer = await route.fetch()
      await route.fulfill({ response: answer, json: { ...(await answer.json()), base: '/_/0123456789abcdef/' } })
    })
    await own.end('SIGKILL')
    await own.run()
    const strip = desk.strip.filter({ hasText: 'There is a new version.' })
    await strip.waitFor()
    await desk.write('goes on')
    await desk.shows('hello', 'goes on')
    await desk.box.fill('a draft')
    await context.unroute('**/web/config')
    await strip.getByRole('button', { name: 'Reload' }).click()
    await eventually(() => desk.strip.count(), 0)
    await eventually(() => desk.box.inputValue(), 'a draft')
    await context.close()
    await own.stop()
  })
})
