// The ways from this service to the server.

import { Module } from '@nestjs/common'
import { ClientsModule, Transport } from '@nestjs/microservices'
import { queueOptions, queues, urls } from './queues.js'

const client = (name: string, queue: string) => ({
  name,
  transport: Transport.RMQ as const,
  options: { urls, queue, queueOptions },
})

const clients = ClientsModule.register([
  client('SERVER', queues.server),
  client('USERS', queues.users),
  client('GATEWAY', queues.gateway),
])

@Module({ imports: [clients], exports: [clients] })
export class DeskModule {}
