// A look into a queue that no service reads.

import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'

const LIMIT_MS = 20_000

/** Takes the first message of a queue; waits for it. The client library is the services' own. */
export async function take(services, queue) {
  const { connect } = createRequire(services)('amqplib')
  const connection = await connect(process.env.RABBITMQ_URL)
  try {
    const channel = await connection.createChannel()
    await channel.assertQueue(queue)
    for (const until = Date.now() + LIMIT_MS; Date.now() < until; await sleep(50)) {
      const message = await channel.get(queue, { noAck: true })
      if (message) return { headers: message.properties.headers, text: message.content.toString() }
    }
    throw new Error(`nothing arrived in ${queue}`)
  } finally {
    await connection.close()
  }
}

/** Publishes any bytes to a queue. */
export async function put(services, queue, text) {
  const { connect } = createRequire(services)('amqplib')
  const connection = await connect(process.env.RABBITMQ_URL)
  const channel = await connection.createConfirmChannel()
  channel.sendToQueue(queue, Buffer.from(text))
  await channel.waitForConfirms()
  await connection.close()
}
