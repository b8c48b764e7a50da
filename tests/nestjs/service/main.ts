// Starts the services, each on its queue.

import 'reflect-metadata'
import type { Type } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { ClientProxy, Transport } from '@nestjs/microservices'
import { ApiModule } from './api.js'
import { DeskModule } from './clients.js'
import { Journal } from './journal.js'
import { NewsModule } from './news.js'
import { exchange, queueOptions, queues, urls } from './queues.js'
import { TopicsModule } from './topics.js'

const logger: 'fatal'[] = ['fatal']

async function listen(module: Type<unknown>, options: object) {
  const transport = Transport.RMQ as const
  const app = await NestFactory.createMicroservice(module, { transport, options: { urls, queueOptions, ...options }, logger })
  await app.listen()
  return app
}

/** Version 10 knows no wildcards. */
export async function start({ wildcards }: { wildcards: boolean }) {
  const news = await listen(NewsModule, { queue: queues.news, noAck: false, prefetchCount: 8 })
  await listen(ApiModule, { queue: queues.api })
  const topics = wildcards
    ? await listen(TopicsModule, { queue: queues.topics, wildcards: true, exchange, exchangeType: 'topic' })
    : undefined
  const clients = await NestFactory.createApplicationContext(DeskModule, { logger })
  const client = (name: string) => clients.get<ClientProxy>(name, { strict: false })
  return {
    news: news.get(Journal),
    topics: topics?.get(Journal),
    server: client('SERVER'),
    users: client('USERS'),
  }
}
