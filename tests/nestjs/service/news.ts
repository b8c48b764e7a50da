// Listens to what happens at the server, from a queue of its own; acknowledges by hand.

import { Controller, Module } from '@nestjs/common'
import { Ctx, EventPattern, Payload, RmqContext } from '@nestjs/microservices'
import { Journal } from './journal.js'

@Controller()
export class NewsController {
  constructor(private readonly journal: Journal) {}

  @EventPattern([
    'user.created', 'chat.created', 'message.created', 'message.read', 'user.connected', 'user.disconnected',
  ])
  heard(@Payload() data: unknown, @Ctx() context: RmqContext): void {
    this.journal.write(context.getPattern(), data)
    context.getChannelRef().ack(context.getMessage())
  }
}

@Module({ controllers: [NewsController], providers: [Journal] })
export class NewsModule {}
