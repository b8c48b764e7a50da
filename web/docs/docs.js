// The API of this server, as it describes itself: each operation can be tried from here. In English alone, as the
// descriptions are.

import { h } from '../ui/view.js'

/** @typedef {any} Json */
/** @typedef {{ method: string, path: string, operation: Json }} Operation */

/** Objects inside of each other that an example shows. */
const DEEPEST = 6

const openapi = await read('/openapi.json')
const asyncapi = await read('/asyncapi.json')
/** The token of all trials: in the memory of this page alone. */
const token = /** @type {HTMLInputElement} */ (h('input', { type: 'password', autocomplete: 'off', spellcheck: 'false' }))

/** @param {string} address @returns {Promise<Json>} */
async function read(address) {
  const answer = await fetch(address)
  if (!answer.ok) throw new Error(`${address} answered ${answer.status}`)
  return answer.json()
}

/** The schema that a reference leads to. @param {Json} schema @returns {Json} */
function resolved(schema) {
  const name = schema?.$ref?.split('/').pop()
  return name ? openapi.components.schemas[name] : schema
}

/** A value that a schema allows. @param {Json} schema @param {number} [depth] @returns {Json} */
function example(schema, depth = 0) {
  const known = resolved(schema)
  if (!known || depth > DEEPEST) return null
  if (known.enum) return known.enum[0]
  if (known.anyOf || known.oneOf) return example((known.anyOf ?? known.oneOf)[0], depth + 1)
  if (known.type === 'object') {
    const required = Object.entries(known.properties ?? {}).filter(([name]) => known.required?.includes(name))
    return Object.fromEntries(required.map(([name, value]) => [name, example(value, depth + 1)]))
  }
  if (known.type === 'array') return [example(known.items, depth + 1)]
  if (known.type === 'integer' || known.type === 'number') return 1
  if (known.type === 'boolean') return true
  return known.type === 'string' ? 'text' : null
}

/** @param {Json} value */
const shown = (value) => JSON.stringify(value, null, 2)

/** A schema by its name, or what there is of one. @param {Json} schema */
const named = (schema) => schema?.$ref?.split('/').pop() ?? schema?.type ?? 'any'

/** @param {Operation} of */
function entry({ method, path, operation }) {
  const parameters = operation.parameters ?? []
  /** @type {Map<Json, HTMLInputElement>} */
  const inputs = new Map()
  const fields = parameters.map((/** @type {Json} */ parameter) => {
    const input = /** @type {HTMLInputElement} */ (h('input', { autocomplete: 'off', spellcheck: 'false' }))
    inputs.set(parameter, input)
    const kind = parameter.required ? 'required' : named(parameter.schema)
    return h('label', {}, `${parameter.name} (${parameter.in}, ${kind}): ${parameter.description}`, input)
  })
  const schema = operation.requestBody?.content['application/json'].schema
  const body = schema
    ? /** @type {HTMLTextAreaElement} */ (h('textarea', { spellcheck: 'false', 'aria-label': `Body, ${named(schema)}` }))
    : undefined
  if (body) body.value = shown(example(schema))
  const answer = h('pre', { tabindex: '0', 'aria-label': 'Answer', 'aria-live': 'polite', hidden: '' })
  const send = h('button', { type: 'button' }, `Send ${method.toUpperCase()}`)
  send.addEventListener('click', async () => {
    answer.removeAttribute('hidden')
    answer.textContent = '…'
    answer.textContent = await tried(method, path, inputs, body?.value)
  })
  /** @type {[string, Json][]} */
  const responses = Object.entries(operation.responses)
  const answers = responses.map(([status, { description, content }]) => {
    /** @type {Json} */
    const first = Object.values(content ?? {})[0]
    return h('li', {}, first ? `${status}: ${description} (${named(first.schema)})` : `${status}: ${description}`)
  })
  return h(
    'details',
    {},
    h('summary', {}, h('code', {}, `${method.toUpperCase()} ${path}`), h('p', {}, operation.summary)),
    operation.description ? h('p', {}, operation.description) : undefined,
    fields.length ? h('h3', {}, 'Parameters') : undefined,
    ...fields,
    body ? h('h3', {}, `Body: ${named(schema)}`) : undefined,
    body,
    send,
    answer,
    h('h3', {}, 'Answers'),
    h('ul', {}, ...answers),
  )
}

/**
 * @param {string} method
 * @param {string} path
 * @param {Map<Json, HTMLInputElement>} inputs
 * @param {string | undefined} body
 */
async function tried(method, path, inputs, body) {
  /** @type {Record<string, string>} */
  const headers = token.value ? { authorization: `Bearer ${token.value}` } : {}
  const query = new URLSearchParams()
  let address = path
  for (const [{ name, in: place }, { value }] of inputs) {
    if (place === 'path') address = address.replace(`{${name}}`, encodeURIComponent(value))
    else if (value && place === 'query') query.set(name, value)
    else if (value) headers[name] = value
  }
  if (body) headers['content-type'] = 'application/json'
  try {
    const answer = await fetch(`${address}${query.size ? `?${query}` : ''}`, { method: method.toUpperCase(), headers, body })
    const text = await answer.text()
    const isJson = answer.headers.get('content-type')?.includes('json')
    return `${answer.status} ${answer.statusText}\n\n${isJson && text ? shown(JSON.parse(text)) : text}`
  } catch (error) {
    return `No answer: ${error}`
  }
}

/** @param {string} title @param {Json} value @param {string} [summary] */
const schemaEntry = (title, value, summary) =>
  h('details', {}, h('summary', {}, h('code', {}, title), summary ? h('p', {}, summary) : undefined), h('pre', { tabindex: '0', 'aria-label': title }, shown(value)))

/** @type {Operation[]} */
const operations = Object.entries(openapi.paths).flatMap(([path, methods]) =>
  Object.entries(/** @type {Json} */ (methods)).map(([method, operation]) => ({ method, path, operation })),
)
const sections = openapi.tags.flatMap((/** @type {Json} */ { name }) => [
  h('h2', {}, name),
  ...operations.filter(({ operation }) => operation.tags.includes(name)).map(entry),
])
const messages = Object.entries(asyncapi.components.messages)
/** @param {string} prefix */
const frames = (prefix) =>
  messages
    .filter(([name]) => name.startsWith(prefix))
    .map(([, message]) => schemaEntry(/** @type {Json} */ (message).name, /** @type {Json} */ (message).payload, /** @type {Json} */ (message).summary))

document.querySelector('main')?.replaceChildren(
  h('h1', {}, 'The API of this server'),
  h('p', {}, openapi.info.description),
  h('p', {}, 'For programs: ', h('a', { href: '/openapi.json' }, 'openapi.json'), ' and ', h('a', { href: '/asyncapi.json' }, 'asyncapi.json'), '.'),
  h('label', {}, 'A token, or a service key, for trials from here. It is kept in this page alone.', token),
  ...sections,
  h('h2', {}, 'WebSocket: events of clients'),
  ...frames('Client.'),
  h('h2', {}, 'WebSocket: events of the server'),
  ...frames('Server.'),
  h('h2', {}, 'Schemas'),
  ...Object.entries(openapi.components.schemas).map(([name, schema]) => schemaEntry(name, schema)),
)
