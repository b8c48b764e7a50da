// Makes the picture of the README: the demo, in the middle of a conversation.
// `scripts/picture` runs it.

import { Server } from '../nodejs/server.mjs'
import { openBrowser, openContext } from './kit/browser.mjs'
import { Widget } from './kit/widget.mjs'

const [, , path] = process.argv
const browser = await openBrowser()
const server = await Server.start({ WEB__DEMO: 'on', LIMITS__LEEWAY_SECONDS: '0' })
const context = await openContext(browser, {
  viewport: { width: 1200, height: 720 },
  timezoneId: 'UTC',
  reducedMotion: 'reduce',
})
const page = await context.newPage()
await page.goto(await server.demo)
const shop = new Widget(page.frameLocator('iframe').first())
const agent = page.frameLocator('iframe').last()
await shop.open()
const say = async (box, text) => {
  await box.fill(text)
  await box.press('Enter')
}
await shop.write('Hello! The code SPRING-26 is refused.')
await agent.locator('.message').first().waitFor()
await say(agent.locator('textarea'), 'Sorry about that, Kim. Try SPRING-27: it is good until Sunday.')
await shop.host.locator('.in').waitFor()
await shop.write('That worked for the first lamp!')
await agent.locator('.message').nth(2).waitFor()
await agent.locator('textarea').pressSequentially('Gl')
await shop.host.locator('.typing').filter({ hasText: /./ }).waitFor()
await agent.locator('textarea').fill('')
await page.screenshot({ path })
await browser.close()
await server.stop()
process.exit()
