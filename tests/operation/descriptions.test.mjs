// The descriptions of the API, read by tools of others: Schemathesis calls the HTTP API as it is described, and
// AsyncAPI's parser reads the frames.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { after, before, test } from 'node:test'
import { Parser } from '@asyncapi/parser'
import { Server } from '../nodejs/server.mjs'

// What was asked for in vain is no fault of the description: a cursor is opaque, an e-mail may not be one.
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'unsupported_method',
]
const EXAMPLES = 15

let server

before(async () => {
  // Passwords would take most of the time, and their limits the rest.
  server = await Server.start({ LIMITS__LOGINS_PER_ADDRESS: '0', LIMITS__SIGN_UPS_PER_ADDRESS: '0' })
  await server.http(server.token('kim'), 'POST', '/chats', {})
  await server.http(server.token('kim'), 'POST', '/chats/1/messages', { message: 'hello' })
})

after(() => server.stop())

/** The output of a command on the server's database. */
async function operate(...args) {
  const own = Object.entries(server.settings).map(([key, value]) => [`FRONTDESK__${key}`, value])
  const env = { ...process.env, ...Object.fromEntries(own) }
  const { stdout } = await promisify(execFile)(process.env.FRONTDESK_BINARY, args, { env, cwd: server.folder })
  return stdout.trim()
}

/** Runs Schemathesis with a token; its output if it found something. */
function called(token) {
  const args = ['run', `${server.url}/openapi.json`, '--header', `Authorization: Bearer ${token}`]
  args.push('--checks', CHECKS.join(','), '--max-examples', EXAMPLES, '--phases', 'examples,coverage,fuzzing')
  args.push('--no-color', '--seed', 1)
  return new Promise((resolve, reject) => {
    const child = spawn(process.env.SCHEMATHESIS, args, { cwd: server.folder })
    let output = ''
    child.stdout.on('data', (data) => (output += data))
    child.stderr.on('data', (data) => (output += data))
    child.once('error', reject)
    child.once('exit', (code) => resolve({ code, output }))
  })
}

async function answersAsDescribed(token) {
  const { code, output } = await called(token)
  assert.equal(code, 0, output)
  assert.match(output, /Tested: \d\d/, output)
}

test('the HTTP API answers a customer as it is described', () => answersAsDescribed(server.token('kim')))

test('the HTTP API answers an admin as it is described', () => answersAsDescribed(server.admin()))

test('the HTTP API answers a service key as it is described', async () => {
  const scopes = ['chats:read', 'messages:write', 'users:read', 'users:write']
  await answersAsDescribed(await operate('key', 'add', '--name', 'crm', ...scopes.flatMap((scope) => ['--scope', scope])))
})

test("AsyncAPI's parser reads the frames", async () => {
  const document = await operate('asyncapi')
  const { document: read, diagnostics } = await new Parser().parse(document)
  const faults = diagnostics.filter(({ severity }) => severity < 2)
  assert.deepEqual(faults.map(({ code, message, path }) => [code, message, path.join('/')]), [])
  assert.equal(read.allMessages().length, 22)
  assert.deepEqual(JSON.parse(document), await (await fetch(`${server.url}/asyncapi.json`)).json())
})
