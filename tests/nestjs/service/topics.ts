// Listens to what happens at the server, from its exchange, by wildcards.

import { Controller, Module } from '@nestjs/common'
import { Ctx, EventPattern, Payload, RmqContext } from '@nestjs/microservices'
import { Journal } from './journal.js'

@Controller()
export class TopicsController {
  constructor(private readonly journal: Journal) {}

  @EventPattern('message.*')
  heard(@Payload() data: unknown, @Ctx() context: RmqContext): void {
    this.journal.write(context.getPattern(), data)
  }
}

@Module({ controllers: [TopicsController], providers: [Journal] })
export class TopicsModule {}
