// Agents at the desk, in a real browser, beside the real server: conversations, and who they are with.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Proxy } from '../nodejs/proxy.mjs'
import { Server } from '../nodejs/server.mjs'
import { openBrowser, openContext } from './kit/browser.mjs'
import { OWN_LOGIN, openDesk } from './kit/desk.mjs'
import { Person, logOf } from './kit/people.mjs'
import { eventually } from './kit/widget.mjs'

let browser
let server
before(async () => {
  browser = await openBrowser()
  server = await Server.start({ ...OWN_LOGIN, LIMITS__HEARTBEAT_MS: '1000', LIMITS__LEEWAY_SECONDS: '0' })
})
after(async () => {
  await browser.close()
  await server.stop()
})

/** A customer who has written this. */
async function customer(subject, ...texts) {
  return customerOf(server, subject, ...texts)
}

async function customerOf(server, subject, ...texts) {
  const person = new Person(server, subject)
  const chat = await person.follow()
  for (const text of texts) await chat.send(text).stored
  return { person, chat, end: () => person.desk.close() }
}

/** The stored messages of a chat. */
const stored = async (chat) => (await logOf(server, chat.id)).map(({ message }) => message)

describe('a conversation at the desk', { concurrency: 2 }, () => {
  it('a message is there at once, is read once it is on the screen, and its answer is read on the other side', async () => {
    const { person, chat, end } = await customer('Kim', 'The code is refused.')
    const { context, desk } = await openDesk(browser, server)
    // Its chat is here already when it is opened, and what is new is marked all the same.
    await eventually(() => desk.row('Kim').locator('.badge').innerText(), '1')
    await desk.open('Kim')
    await desk.shows('The code is refused.')
    await desk.page.locator('.thread .new').waitFor()
    const ada = () => [...chat.reads.keys()].find((id) => id !== person.desk.user.id)
    await person.until(() => chat.reads.get(ada()) === 1, 'mark')
    await desk.write('Try SPRING-26.')
    await desk.shows('The code is refused.', 'Try SPRING-26.')
    await person.until(() => chat.messages.length === 2, 'answer')
    chat.read()
    await desk.page.locator('.thread .read').waitFor()
    assert.deepEqual(context.problems, [])
    await context.close()
    await end()
  })

  it('what another agent has answered is shown before anything is sent, with the way to send all the same', async () => {
    const { chat, end } = await customer('Moved', 'hello')
    const ada = await openDesk(browser, server)
    const bo = await openDesk(browser, server, 'bo')
    await ada.desk.open('Moved')
    await bo.desk.open('Moved')
    await ada.desk.box.fill('I am looking into it')
    await bo.desk.write('Solved, I hope')
    await ada.desk.answered.filter({ hasText: /bo answered first:.*Solved, I hope/ }).waitFor()
    await ada.desk.box.press('Enter')
    assert.equal(await ada.desk.box.inputValue(), 'I am looking into it')
    assert.deepEqual(await stored(chat), ['hello', 'Solved, I hope'])
    await ada.desk.answered.getByRole('button', { name: 'Send anyway' }).click()
    await ada.desk.shows('hello', 'Solved, I hope', 'I am looking into it')
    await eventually(() => ada.desk.answered.locator('*').count(), 0)
    assert.deepEqual(await stored(chat), ['hello', 'Solved, I hope', 'I am looking into it'])
    await ada.context.close()
    await bo.context.close()
    await end()
  })

  it('two agents send at once: one is stored, the other sees both texts, and sends anyway', async () => {
    const { chat, end } = await customer('Twice', 'hello')
    const proxy = await Proxy.to(server.port)
    const ada = await openDesk(browser, server, 'ada', { url: proxy.url })
    await ada.desk.open('Twice')
    await ada.desk.shows('hello')
    await ada.desk.box.fill('from Ada')
    proxy.freeze()
    await ada.desk.box.press('Enter')
    await ada.desk.shows('hello', '[from Ada]')
    const bo = await new Person(server, 'bo', { role: 'admin' }).online()
    await bo.desk.request('send_message', { chatId: chat.id, message: 'from Bo' })
    proxy.release()
    await ada.desk.shows('hello', 'from Bo', '[from Ada]')
    assert.deepEqual(await stored(chat), ['hello', 'from Bo'])
    await ada.page.locator('.thread .message.failed').getByRole('button', { name: 'Send anyway' }).click()
    await ada.desk.shows('hello', 'from Bo', 'from Ada')
    assert.deepEqual(await stored(chat), ['hello', 'from Bo', 'from Ada'])
    await ada.context.close()
    await bo.desk.close()
    await end()
    proxy.stop()
  })

  it('a customer who writes in the same moment holds up no answer', async () => {
    const { person, chat, end } = await customer('Quick', 'hello')
    const proxy = await Proxy.to(server.port)
    const { desk, context } = await openDesk(browser, server, 'ada', { url: proxy.url })
    await desk.open('Quick')
    await desk.shows('hello')
    proxy.freeze()
    await desk.write('an answer')
    await chat.send('one more thing').stored
    proxy.release()
    await desk.shows('hello', 'one more thing', 'an answer')
    assert.deepEqual(await stored(chat), ['hello', 'one more thing', 'an answer'])
    await person.until(() => chat.messages.length === 3, 'answer')
    await context.close()
    await end()
    proxy.stop()
  })

  it('answers that wait keep their order, whoever was first meanwhile, and none goes out behind another agent’s unseen', async () => {
    const { chat, end } = await customer('Waiting', 'hello')
    const proxy = await Proxy.to(server.port)
    const { desk, page, context } = await openDesk(browser, server, 'ada', { url: proxy.url })
    await desk.open('Waiting')
    await desk.shows('hello')
    proxy.freeze()
    await desk.write('one')
    await desk.write('two')
    await chat.send('and another thing').stored
    proxy.release()
    await desk.shows('hello', 'and another thing', 'one', 'two')
    proxy.freeze()
    await desk.write('three')
    await desk.write('four')
    const bo = await new Person(server, 'bo', { role: 'admin' }).online()
    await bo.desk.request('send_message', { chatId: chat.id, message: 'from Bo' })
    await chat.send('thanks, Bo').stored
    proxy.release()
    const before = ['hello', 'and another thing', 'one', 'two', 'from Bo', 'thanks, Bo']
    await desk.shows(...before, '[three]', '[four]')
    assert.deepEqual(await stored(chat), before)
    await page.locator('.thread .message.failed').first().getByRole('button', { name: 'Remove' }).click()
    await desk.shows(...before, '[four]')
    await bo.desk.close()
    await context.close()
    await end()
    proxy.stop()
  })

  it('a message that is refused after its author has gone on to another chat is told of there', async () => {
    const [one, two] = [await customer('Left', '1'), await customer('Gone on', '2')]
    const proxy = await Proxy.to(server.port)
    const { desk, page, context } = await openDesk(browser, server, 'ada', { url: proxy.url })
    await desk.open('Gone on')
    await desk.open('Left')
    await desk.shows('1')
    proxy.freeze()
    await desk.write('too late')
    await desk.open('Gone on')
    const bo = await new Person(server, 'bo', { role: 'admin' }).online()
    await bo.desk.request('send_message', { chatId: one.chat.id, message: 'from Bo' })
    proxy.release()
    await page
      .locator('.toast')
      .filter({ hasText: /^Left: Not sent\./ })
      .waitFor()
    await bo.desk.close()
    await context.close()
    await one.end()
    await two.end()
    proxy.stop()
  })

  it('drafts survive a change of chats, a reload, and a tab that crashes, each in its chat', async () => {
    const [one, two] = [await customer('Draft one', '1'), await customer('Draft two', '2')]
    const { context, page, desk } = await openDesk(browser, server)
    await desk.open('Draft one')
    await desk.box.fill('to the first')
    await desk.open('Draft two')
    assert.equal(await desk.box.inputValue(), '')
    await desk.box.fill('to the second')
    await desk.open('Draft one')
    assert.equal(await desk.box.inputValue(), 'to the first')
    await page.reload()
    await eventually(() => desk.box.inputValue(), 'to the first')
    await desk.box.fill('to the first, and more')
    const crashed = new Promise((resolve) => page.once('crash', resolve))
    page.goto('chrome://crash').catch(() => undefined)
    await crashed
    const again = await openDesk(browser, server, 'ada', { context })
    await again.desk.open('Draft one')
    assert.equal(await again.desk.box.inputValue(), 'to the first, and more')
    await again.desk.open('Draft two')
    assert.equal(await again.desk.box.inputValue(), 'to the second')
    await again.desk.write('to the second')
    await again.desk.shows('2', 'to the second')
    await again.page.reload()
    await again.desk.open('Draft two')
    assert.equal(await again.desk.box.inputValue(), '')
    // Another agent in the same browser sees none of it.
    context.login = { subject: 'bo', role: 'admin', seconds: 3600 }
    const bo = await openDesk(browser, server, 'bo', { context })
    await bo.desk.open('Draft one')
    assert.equal(await bo.desk.box.inputValue(), '')
    await context.close()
    await one.end()
    await two.end()
  })

  it('who views and who types is said, and ends by itself', async () => {
    const { person, chat, end } = await customer('Seen', 'hello')
    const ada = await openDesk(browser, server)
    const bo = await openDesk(browser, server, 'bo')
    await ada.desk.open('Seen')
    await bo.desk.open('Seen')
    await ada.page.locator('.there').filter({ hasText: 'online · bo is viewing' }).waitFor()
    chat.typing(true)
    await ada.page.locator('.thread .typing').filter({ hasText: 'Seen is typing…' }).waitFor()
    await ada.desk.row('Seen').getByText('typing…').waitFor()
    chat.typing(false)
    await eventually(() => ada.page.locator('.thread .typing').innerText(), '')
    await bo.desk.box.pressSequentially('I')
    await ada.page.locator('.thread .typing').filter({ hasText: 'bo is typing…' }).waitFor()
    await bo.context.close()
    await eventually(() => ada.page.locator('.there').innerText(), 'online')
    await eventually(() => ada.page.locator('.thread .typing').innerText(), '')
    await person.desk.close()
    await ada.page.locator('.there').filter({ hasText: 'not here now' }).waitFor()
    await ada.context.close()
    await end()
  })

  it('opening a chat goes to the box, Esc leaves it, and a dialog gives focus back; on a phone Tab stays inside the dialog', async () => {
    const { end } = await customer('Focus', 'hello')
    const { context, page, desk } = await openDesk(browser, server)
    const focused = () => page.evaluate(() => document.activeElement.className || document.activeElement.tagName)
    await desk.open('Focus')
    await eventually(() => page.evaluate(() => document.activeElement.tagName), 'TEXTAREA')
    await page.keyboard.press('Escape')
    await eventually(() => page.evaluate(() => document.activeElement.closest('.log') !== null), true)
    await page.keyboard.press('r')
    await eventually(() => page.evaluate(() => document.activeElement.tagName), 'TEXTAREA')
    await page.keyboard.press('Escape')
    const before = await focused()
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await page.keyboard.press('Escape')
    await eventually(focused, before)
    await context.close()
    const phone = await openDesk(browser, server, 'ada', { viewport: { width: 360, height: 700 }, hasTouch: true })
    await phone.page.getByRole('button', { name: 'Settings' }).click()
    await phone.page.getByRole('dialog').waitFor()
    for (let at = 0; at < 12; at++) {
      await phone.page.keyboard.press('Tab')
      // The browser's own bar is part of the round.
      const isInside = await phone.page.evaluate(
        () => document.activeElement === document.body || document.activeElement.closest('dialog') !== null,
      )
      assert.ok(isInside)
    }
    await phone.context.close()
    await end()
  })

  it('a text that would run, turn the line or overflow is shown as text', async () => {
    const strange = '<img src=x onerror="window.ran = 1">'
    const { chat, end } = await customer(
      strange,
      strange,
      'javascript:alert(1) data:text/html,x https://example.org/a',
      `${'\u202e'}reversed`,
      'x'.repeat(8_000),
    )
    const { context, page, desk } = await openDesk(browser, server)
    await page.goto(`${server.url}/desk/chats/${chat.id}`)
    await eventually(async () => (await desk.texts()).length, 4)
    await page.getByRole('heading', { name: strange, level: 2 }).first().waitFor()
    assert.equal(await page.evaluate(() => window.ran), undefined)
    assert.equal(await page.locator('.thread img, .chats img, .panel img').count(), 0)
    assert.deepEqual(await page.locator('.thread .bubble a').evaluateAll((links) => links.map((link) => link.href)), [
      'https://example.org/a',
    ])
    assert.ok(!(await desk.texts()).join().includes('\u202e'))
    const isWider = () =>
      page.evaluate(() =>
        [document.documentElement, ...document.querySelectorAll('.thread .log, .panel, .side, .chats-scroll')]
          .filter((element) => element.scrollWidth > element.clientWidth + 1)
          .map((element) => element.className || element.tagName),
      )
    assert.deepEqual(await isWider(), [])
    await page.setViewportSize({ width: 320, height: 600 })
    assert.deepEqual(await isWider(), [])
    assert.deepEqual(context.problems, [])
    await context.close()
    await end()
  })

  it('the box has the focus in a chat that was opened by a key, also without a mouse; after a finger it has not', async () => {
    const own = await Server.start(OWN_LOGIN)
    for (const name of ['Key', 'Finger']) await customerOf(own, name, `from ${name}`)
    const { context, page, desk } = await openDesk(browser, own, 'ada', { hasTouch: true, isMobile: true })
    const focused = () => page.evaluate(() => document.activeElement.tagName)
    await desk.row('Finger').tap()
    await desk.shows('from Finger')
    assert.notEqual(await focused(), 'TEXTAREA')
    await page.keyboard.press('u')
    await desk.shows('from Key')
    assert.equal(await focused(), 'TEXTAREA')
    await context.close()
    await own.stop()
  })

  it('the unread chats are found, answered and left by keyboard alone', async () => {
    const own = await Server.start(OWN_LOGIN)
    const people = []
    for (const name of ['Key one', 'Key two', 'Key three']) people.push(await customerOf(own, name, `from ${name}`))
    const { context, page, desk } = await openDesk(browser, own)
    await desk.row('Key three').waitFor()
    await page.keyboard.press('g')
    await page.keyboard.press('u')
    await eventually(() => page.locator('.side h2').innerText(), 'Unread')
    for (const at of [2, 1, 0]) {
      const name = ['Key one', 'Key two', 'Key three'][at]
      await page.keyboard.press('u')
      await page.getByRole('heading', { name, exact: true, level: 2 }).first().waitFor()
      await eventually(() => page.evaluate(() => document.activeElement.tagName), 'TEXTAREA')
      await desk.shows(`from ${name}`)
      await page.keyboard.type(`an answer to ${name}`)
      await page.keyboard.press('Enter')
      await desk.shows(`from ${name}`, `an answer to ${name}`)
      await page.keyboard.press('Escape')
    }
    await page.keyboard.press('g')
    await page.keyboard.press('a')
    await eventually(() => page.locator('.side h2').innerText(), 'Chats')
    await eventually(async () => (await desk.names()).join(), 'Key one,Key two,Key three')
    await page.keyboard.press('j')
    await page.keyboard.press('j')
    await page.keyboard.press('k')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Key two', exact: true, level: 2 }).first().waitFor()
    await page.keyboard.press('Control+k')
    await page.keyboard.type('key one')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Key one', exact: true, level: 2 }).first().waitFor()
    // The palette leads into the box of the open chat, too.
    await page.keyboard.press('Escape')
    await page.keyboard.press('Control+k')
    await page.keyboard.type('key one')
    await page.keyboard.press('Enter')
    await eventually(() => page.evaluate(() => document.activeElement.tagName), 'TEXTAREA')
    await context.close()
    for (const { end } of people) await end()
    await own.stop()
  })

  it('letters that are typed in the box are letters, Alt and AltGr are never taken, and a switch turns single keys off', async () => {
    const [one, two] = [await customer('Letters one', '1'), await customer('Letters two', '2')]
    const { context, page, desk } = await openDesk(browser, server)
    await desk.open('Letters one')
    await page.keyboard.type('jkrupg/?a')
    assert.equal(await desk.box.inputValue(), 'jkrupg/?a')
    assert.equal(await page.getByRole('dialog').count(), 0)
    const isTaken = (target, key) =>
      page.evaluate(
        ([target, key]) => {
          const options = { key, altKey: true, bubbles: true, cancelable: true }
          return !document.querySelector(target).dispatchEvent(new KeyboardEvent('keydown', options))
        },
        [target, key],
      )
    for (const key of ['ą', 'ś', '@', 'j', 'p']) {
      assert.equal(await isTaken('.thread textarea', key), false)
      assert.equal(await isTaken('body', key), false)
    }
    await page.keyboard.press('Escape')
    await page.keyboard.press('?')
    await page.getByLabel('Single keys are commands').uncheck()
    await page.keyboard.press('Escape')
    await desk.open('Letters two')
    await page.keyboard.press('Escape')
    for (const key of ['k', '?', '/', 'g', 'u']) await page.keyboard.press(key)
    assert.equal(await page.getByRole('dialog').count(), 0)
    await page.getByRole('heading', { name: 'Letters two', exact: true, level: 2 }).first().waitFor()
    await page.keyboard.press('Control+k')
    await page.getByRole('dialog', { name: 'Commands and chats' }).waitFor()
    await context.close()
    await one.end()
    await two.end()
  })
})

describe('who a chat is with', { concurrency: 2 }, () => {
  it('people are found by name in any script, and their chat is opened', async () => {
    const [one, two] = [await customer('김민서', '환불'), await customer('王磊', '退款')]
    const { context, page, desk } = await openDesk(browser, server)
    const search = page.getByRole('searchbox', { name: 'Search people' })
    for (const [text, name] of [
      ['민서', '김민서'],
      ['王', '王磊'],
    ]) {
      await page.keyboard.press('Escape')
      await search.fill(text)
      await page.locator('.side .found').filter({ hasText: name }).click()
      await page.getByRole('heading', { name, exact: true, level: 2 }).first().waitFor()
    }
    await search.fill('nobody of this name')
    await page.getByText('Nobody found for “nobody of this name”').waitFor()
    await search.press('Escape')
    await desk.row('王磊').waitFor()
    await context.close()
    await one.end()
    await two.end()
  })

  it('what a token has signed is marked; a block asks for a reason, ends the customer’s session, and is taken back', async () => {
    const { person, end } = await customer('Rude', 'hello')
    const { context, page, desk } = await openDesk(browser, server)
    await desk.open('Rude')
    const panel = page.getByRole('complementary')
    await panel.locator('dd', { hasText: 'Rude' }).getByText('Signed by your own login').waitFor({ state: 'attached' })
    await panel.getByRole('button', { name: 'Block' }).click()
    const dialog = page.getByRole('dialog', { name: 'Block Rude?' })
    await dialog.getByLabel('Reason').fill('insults <b>')
    await dialog.getByRole('button', { name: 'Block', exact: true }).click()
    await panel.getByText('Blocked: insults <b>').waitFor()
    await person.until(() => person.desk.state.state === 'blocked', 'block')
    await panel.getByRole('button', { name: 'Unblock' }).click()
    await panel.getByRole('button', { name: 'Block', exact: true }).waitFor()
    const again = await new Person(server, 'Rude').online()
    await again.desk.close()
    await context.close()
    await end()
  })

  it('the list may be read where no WebSocket passes; it says so, and what was pressed opens as soon as one does', async () => {
    const { end } = await customer('Early', 'hello')
    const context = await openContext(browser, { viewport: { width: 360, height: 700 } })
    let isShut = true
    await context.routeWebSocket('**/ws', (socket) =>
      isShut ? socket.close({ code: 1012 }) : socket.connectToServer(),
    )
    const { page, desk } = await openDesk(browser, server, 'ada', { context })
    await desk.row('Early').click()
    await desk.strip.filter({ hasText: 'Reconnecting' }).waitFor()
    assert.ok(await desk.row('Early').isVisible())
    // The next try comes by itself.
    isShut = false
    await desk.shows('hello')
    await context.close()
    await end()
  })

  it('in a window that becomes narrow the conversation stays in sight, and Back leads to its row', async () => {
    const { end } = await customer('Narrow', 'hello')
    const { context, page, desk } = await openDesk(browser, server)
    await desk.open('Narrow')
    const panel = page.getByRole('complementary')
    await panel.waitFor()
    await page.setViewportSize({ width: 360, height: 700 })
    await panel.waitFor({ state: 'hidden' })
    await page.getByRole('button', { name: 'Back' }).click()
    await eventually(() => page.evaluate(() => document.activeElement.querySelector('.name')?.textContent), 'Narrow')
    await page.setViewportSize({ width: 1280, height: 800 })
    await desk.open('Narrow')
    await panel.waitFor()
    await context.close()
    await end()
  })

  it('a group is made of people who are found, and its members are listed', async () => {
    const [one, two] = [await customer('Group one', '1'), await customer('Group two', '2')]
    const { context, page, desk } = await openDesk(browser, server)
    await page.getByRole('button', { name: 'New group' }).click()
    const dialog = page.getByRole('dialog', { name: 'New group' })
    await dialog.getByLabel('Title').fill('Both of them')
    for (const name of ['Group one', 'Group two']) {
      await dialog.getByLabel('Add people').fill(name)
      await dialog.locator('.found').filter({ hasText: name }).click()
    }
    await dialog.getByRole('button', { name: 'Make the group' }).click()
    await page.getByRole('heading', { name: 'Both of them', level: 2 }).first().waitFor()
    await desk.write('hello to both')
    await one.person.until(() => one.person.desk !== null, 'line')
    const panel = page.getByRole('complementary')
    await panel.getByText('3 members').waitFor()
    for (const name of ['Group one', 'Group two', 'ada']) await panel.getByText(name, { exact: true }).waitFor()
    // A member's own chats are told in the panel of that member.
    await desk.open('Group one')
    await panel.getByRole('button', { name: 'Both of them' }).click()
    await page.getByRole('heading', { name: 'Both of them', level: 2 }).first().waitFor()
    await context.close()
    await one.end()
    await two.end()
  })
})

describe('two agents and a customer', () => {
  it('lose nothing by a killed server, a frozen line, an expired token, a block, and a role that is taken away', async () => {
    const own = await Server.start({ ...OWN_LOGIN, LIMITS__HEARTBEAT_MS: '1000', LIMITS__LEEWAY_SECONDS: '0' })
    const proxy = await Proxy.to(own.port)
    const kim = new Person(own, 'Kim')
    const chat = await kim.follow()
    await chat.send('0').stored
    const ada = await openDesk(browser, own, 'ada', { seconds: 6 })
    const bo = await openDesk(browser, own, 'bo', { url: proxy.url })
    await ada.desk.open('Kim')
    await bo.desk.open('Kim')
    const texts = ['0']
    const all = async (...more) => {
      texts.push(...more)
      await ada.desk.shows(...texts)
      await bo.desk.shows(...texts)
      await kim.until(() => chat.messages.map(({ message }) => message).join() === texts.join(), 'messages')
    }
    await own.end('SIGKILL')
    const killed = chat.send('while it was away')
    await ada.desk.strip.filter({ hasText: 'Reconnecting' }).waitFor()
    // Nobody knows who is there.
    assert.equal(await ada.page.locator('.chats .dot, .there.is-online').count(), 0)
    await own.run()
    await killed.stored
    await all('while it was away')
    await ada.page.locator('.there.is-online').waitFor()

    proxy.freeze()
    await bo.desk.strip.filter({ hasText: 'Reconnecting' }).waitFor()
    await bo.desk.write('from the tunnel')
    await bo.desk.shows(...texts, '[from the tunnel]')
    proxy.release()
    await all('from the tunnel')

    // Tokens of six seconds: what is written while they are renewed is there.
    let renewed = 0
    ada.page.on('request', (request) => request.url().endsWith('/desk-token') && (renewed += 1))
    await eventually(() => renewed >= 2, true)
    await chat.send('after two tokens').stored
    await all('after two tokens')
    assert.equal(await ada.desk.strip.count(), 0)

    await ada.page.getByRole('complementary').getByRole('button', { name: 'Block' }).click()
    const dialog = ada.page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Block', exact: true }).click()
    await kim.until(() => kim.desk.state.state === 'blocked', 'block')

    // Bo is no agent any more: a newer token says so, and the desk ends.
    bo.context.login.role = 'customer'
    const customerNow = own.token('bo', { role: 'customer' })
    await own.http(customerNow, 'GET', '/users/me')
    await bo.page.getByText('The desk is for agents').waitFor()
    assert.equal(await bo.page.locator('.chat-row, .thread').count(), 0)
    await ada.context.close()
    await bo.context.close()
    await kim.desk.close()
    proxy.stop()
    await own.stop()
  })
})
