// The widget in a page, as its user finds it.

import { setTimeout as sleep } from 'node:timers/promises'
import { within } from '../../nodejs/within.mjs'

export class Widget {
  constructor(page) {
    this.page = page
    this.host = page.locator('frontdesk-widget')
    this.launcher = this.host.locator('button.launcher')
    this.panel = this.host.locator('dialog')
    this.box = this.host.locator('textarea')
    this.log = this.host.getByRole('log')
    this.strip = this.host.locator('.strip')
  }

  async open() {
    await this.launcher.click()
    await this.box.waitFor()
    return this
  }

  async write(text) {
    await this.box.fill(text)
    await this.box.press('Enter')
  }

  /** The messages in sight, those that are not stored in brackets. */
  texts() {
    return this.host.locator('.message').evaluateAll((rows) =>
      rows.map((row) => {
        const text = row.querySelector('.bubble').textContent
        return row.classList.contains('stored') ? text : `[${text}]`
      }),
    )
  }

  /** Waits until the messages are these. */
  shows(...expected) {
    return eventually(async () => (await this.texts()).join('|'), expected.join('|'))
  }

  says(text) {
    return this.strip.filter({ hasText: text }).waitFor()
  }
}

/** Waits until a question has this answer; asks again at each frame. */
export function eventually(ask, expected) {
  let last
  const asking = async () => {
    while ((last = await ask()) !== expected) await sleep(30)
  }
  return within(asking(), () => `${expected}; it was ${last}`)
}
