// What the queues are called here, and how this service connects.

const { RABBITMQ_URL, RABBITMQ_PREFIX = '' } = process.env
if (!RABBITMQ_URL) throw new Error('RABBITMQ_URL is not set: run scripts/test nestjs')

export const urls = [RABBITMQ_URL]
export const queues = {
  // The server's own.
  server: `${RABBITMQ_PREFIX}frontdesk`,
  users: `${RABBITMQ_PREFIX}users`,
  gateway: `${RABBITMQ_PREFIX}frontdesk.gateway`,
  // This service's.
  api: `${RABBITMQ_PREFIX}api`,
  news: `${RABBITMQ_PREFIX}news`,
  topics: `${RABBITMQ_PREFIX}topics`,
}
export const exchange = `${RABBITMQ_PREFIX}frontdesk.events`
export const queueOptions = { durable: true }
