// Makes the pictures of the README and of docs/DESK.md: the demo, and an agent's desk.
// `scripts/picture` runs it.

import { Server } from '../nodejs/server.mjs'
import { openBrowser, openContext } from './kit/browser.mjs'
import { OWN_LOGIN, openDesk } from './kit/desk.mjs'
import { Person } from './kit/people.mjs'
import { Widget } from './kit/widget.mjs'

const [, , demoPath, deskPath] = process.argv
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
await agent.locator('.thread .message').first().waitFor()
await say(agent.locator('.thread textarea'), 'Sorry about that, Kim. Try SPRING-27: it is good until Sunday.')
await shop.host.locator('.in').waitFor()
await shop.write('That worked for the first lamp!')
await agent.locator('.thread .message').nth(2).waitFor()
await agent.locator('.thread textarea').pressSequentially('Gl')
await shop.host.locator('.typing').filter({ hasText: /./ }).waitFor()
await agent.locator('.thread textarea').fill('')
await page.screenshot({ path: demoPath })
await context.close()
await server.stop()

const company = await Server.start(OWN_LOGIN)
const people = []
for (const [name, ...texts] of [
  ['Jeanne', 'Bonjour, ma commande n’est pas arrivée.', 'Elle est partie lundi.'],
  ['王磊', '您好，我想退款。'],
  ['김민서', '환불은 언제 되나요?'],
  ['Kim', 'Hello! The code SPRING-26 is refused.', 'It says “expired”, but the mail is of today.'],
]) {
  const person = new Person(company, name)
  const chat = await person.follow()
  for (const text of texts) await chat.send(text).stored
  people.push({ person, chat })
}
const kim = people.at(-1).chat
const bo = await openDesk(browser, company, 'Bo')
await bo.desk.open('Kim')
await bo.desk.write('Sorry, Kim: SPRING-27 is good until Sunday.')
await kim.send('that worked for the first lamp! The second, https://example.org/lamps/2, is not in it?').stored
const ada = await openDesk(browser, company, 'Ada', {
  viewport: { width: 1280, height: 760 },
  timezoneId: 'UTC',
  reducedMotion: 'reduce',
})
await ada.desk.open('Kim')
await ada.desk.box.fill('I look into')
await ada.page.getByText('Bo is viewing').waitFor()
people[0].chat.typing(true)
await ada.desk.row('Jeanne').getByText('typing…').waitFor()
await ada.page.locator('.panel .facts').waitFor()
await ada.page.screenshot({ path: deskPath })
await browser.close()
await company.stop()
process.exit()
