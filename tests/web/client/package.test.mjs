// The package as npm makes it: in an empty project, by Node.js and by a strict TypeScript project.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { Server } from '../../nodejs/server.mjs'

const MODULES = join(import.meta.dirname, '../node_modules')
const run = promisify(execFile)

/** A whole program of the types, and of what TypeScript must refuse. */
const PROGRAM = `
import { Frontdesk, FrontdeskError } from '@frontdesk/client'
import { Chats } from '@frontdesk/client/chats'
import { WebSocket } from 'ws'

const desk: Frontdesk = new Frontdesk({ url: process.env.URL!, token: () => process.env.TOKEN!, WebSocket })
const chat = desk.support()
const sent = chat.send('typed')
const seq: number = (await sent.stored).seq
try {
  chat.send(' ')
} catch (error) {
  if (error instanceof FrontdeskError) console.log(error.code, error.retry, seq, chat.messages[0]?.message)
}
const off: () => void = desk.on('state', ({ state, retryAt }) => console.log(state.length, retryAt?.toFixed()))
off()
// @ts-expect-error: such an event does not exist.
desk.on('stat', () => undefined)
// @ts-expect-error: a text.
if (false) chat.send(5)
export type List = Chats
await desk.close()
`

describe('the package', () => {
  let server, site, folder
  const tsc = (...options) => run(join(MODULES, '.bin/tsc'), options, { cwd: folder })
  const node = (file, env = {}) => run(process.execPath, [file], { cwd: folder, env: { ...process.env, ...env } })

  before(async () => {
    server = await Server.start()
    site = createServer((_, response) => response.end(server.token('reader')))
    await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve))
    folder = await mkdtemp(join(tmpdir(), 'frontdesk-package-'))
    await cp(join(process.env.FRONTDESK_WEB, 'client'), join(folder, 'source'), { recursive: true })
    const env = { ...process.env, PATH: `${join(MODULES, '.bin')}${delimiter}${process.env.PATH}` }
    await run('npm', ['pack', '--pack-destination', folder], { cwd: join(folder, 'source'), env })
    const [archive] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'))
    await writeFile(join(folder, 'package.json'), '{ "type": "module", "private": true }')
    await run('npm', ['install', '--offline', '--no-audit', '--no-fund', `./${archive}`], { cwd: folder })
    await symlink(join(MODULES, 'ws'), join(folder, 'node_modules/ws'))
  })
  after(async () => {
    site.close()
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('has its modules, types and README, and nothing else', async () => {
    const all = await readdir(join(folder, 'node_modules/@frontdesk/client'))
    const others = all.filter((name) => !name.endsWith('.js'))
    assert.deepEqual(others.sort(), ['README.md', 'package.json', 'types'])
  })

  it('the examples of its README run', async () => {
    const readme = await readFile(join(folder, 'node_modules/@frontdesk/client/README.md'), 'utf8')
    const [example, agents] = [...readme.matchAll(/^```js.*\n([^]*?)^```/gm)].map(([, code]) => code)
    const prelude = `import { WebSocket } from 'ws'\nglobalThis.WebSocket ??= WebSocket\n`
    const { port } = site.address()
    const own = example
      .replace('https://chat.example.org', server.url)
      .replace('/support-token', `http://127.0.0.1:${port}/support-token`)
    await writeFile(join(folder, 'example.js'), prelude + own)
    const { stdout } = await node('example.js')
    assert.match(stdout, /\[ 'pending', 'hello' \][^]*closed/)
    const desk = `import { Frontdesk } from '@frontdesk/client'
const desk = new Frontdesk({ url: process.env.URL, token: () => process.env.TOKEN })
await new Promise((resolve) => desk.on('state', ({ state }) => state === 'online' && resolve()))
const { data: [{ id }] } = await desk.fetch('/chats')
const chat = desk.chat(id)
if (!chat.ready) await new Promise((resolve) => chat.on('change', () => chat.ready && resolve()))\n`
    const end =
      'while (!list.ready || chat.messages.length < 2) {\n' +
      '  await new Promise((resolve) => setTimeout(resolve, 10))\n}\n' +
      'await chat.messages[1].stored\nlist.close()\nawait desk.close()\n'
    await writeFile(join(folder, 'agents.js'), prelude + desk + agents + end)
    const { stdout: said } = await node('agents.js', { URL: server.url, TOKEN: server.admin() })
    // The page of the list may be from before the answer, or after.
    assert.match(said, /\[ \d+, '(hello|how can I help\?)' \]/)
  })

  it('a strict TypeScript project compiles and talks', async () => {
    const source = join(folder, 'typed')
    await mkdir(source)
    await writeFile(join(source, 'main.ts'), PROGRAM)
    const globals = `declare const process: { env: Record<string, string | undefined> }
declare module 'ws' { export const WebSocket: typeof globalThis.WebSocket }\n`
    await writeFile(join(source, 'globals.d.ts'), globals)
    const compilerOptions = {
      strict: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      target: 'ES2022',
      module: 'NodeNext',
      lib: ['ES2023', 'DOM', 'DOM.Iterable'],
      types: [],
      outDir: 'built',
      rootDir: 'typed',
    }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['typed'] }))
    await tsc('--project', 'tsconfig.json').catch(({ stdout }) => assert.fail(stdout))
    const { stdout } = await node('built/main.js', { URL: server.url, TOKEN: server.token('typed') })
    assert.equal(stdout, 'bad_request false 1 typed\n')
  })
})
