// The desk in a page, as an agent finds it.

import { openContext } from './browser.mjs'
import { eventually } from './widget.mjs'

/** The settings of a server whose agents come by the company's own login, which `openDesk` plays. */
export const OWN_LOGIN = { WEB__TOKEN_URL: '/desk-token' }

export class DeskPage {
  constructor(page) {
    this.page = page
    this.rows = page.locator('.chat-row')
    this.box = page.locator('.thread textarea')
    this.log = page.getByRole('log')
    this.answered = page.locator('.answered')
    this.strip = page.locator('.strip')
  }

  row(name) {
    return this.rows.filter({ has: this.page.getByText(name, { exact: true }) })
  }

  /** Opens the chat of somebody, also while the list moves: a pointer might meet another row. */
  async open(name) {
    await this.row(name).evaluate((link) => link.click())
    await this.page.getByRole('heading', { name, exact: true, level: 2 }).first().waitFor()
    await this.box.waitFor()
    return this
  }

  async write(text) {
    await this.box.fill(text)
    await this.box.press('Enter')
  }

  /** The messages in sight, those that are not stored in brackets. */
  texts() {
    return this.page.evaluate(() =>
      [...document.querySelectorAll('.thread .message')].map((row) => {
        const text = row.querySelector('.bubble').textContent
        return row.classList.contains('stored') ? text : `[${text}]`
      }),
    )
  }

  /** Waits until the messages are these. */
  shows(...expected) {
    return eventually(async () => (await this.texts()).join('|'), expected.join('|'))
  }

  /** The names in the list, from the first. */
  names() {
    return this.page.evaluate(() =>
      [...document.querySelectorAll('.chats li')]
        .toSorted((a, b) => Number(a.ariaPosInSet) - Number(b.ariaPosInSet))
        .map((row) => row.querySelector('.name').textContent),
    )
  }
}

/** A browser of an agent, signed in by the company's own login. `seconds`: life of each token. */
export async function openDesk(browser, server, subject = 'ada', { path = '/desk', seconds = 3600, ...options } = {}) {
  const context = options.context ?? (await openContext(browser, options))
  if (!context.login) {
    context.login = { subject, role: 'admin', seconds }
    await context.route('**/desk-token', (route) => {
      const { login } = context
      if (!login.subject) return route.fulfill({ status: 401, body: '' })
      return route.fulfill({ body: server.token(login.subject, { role: login.role, seconds: login.seconds }) })
    })
  }
  const page = await context.newPage()
  await page.goto(`${options.url ?? server.url}${path}`)
  return { context, page, desk: new DeskPage(page) }
}
