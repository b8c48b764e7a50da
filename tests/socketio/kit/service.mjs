// A service behind the gateway, in the format of NestJS over RabbitMQ.

import amqplib from 'amqplib'

/** Consumes a queue, and sends the function's answer to each message as {cmd: 'recv'}. */
export async function startService(queue, gatewayQueue, answer) {
  const connection = await amqplib.connect(process.env.RABBITMQ_URL)
  const channel = await connection.createChannel()
  await channel.assertQueue(queue, { durable: true })
  await channel.consume(queue, ({ content }) => {
    const { data: { metadata, ...data } } = JSON.parse(content)
    const packet = { pattern: { cmd: 'recv' }, data: { ...answer(data), metadata } }
    channel.sendToQueue(gatewayQueue, Buffer.from(JSON.stringify(packet)))
  }, { noAck: true })
  return () => connection.close()
}
