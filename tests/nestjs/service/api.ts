// Answers what clients of the server say: some of it by events of its own, some of it as a request.

import { Controller, Inject, Module } from '@nestjs/common'
import { ClientProxy, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices'
import { Observable, of } from 'rxjs'
import { DeskModule } from './clients.js'

interface FromClient {
  metadata: Record<string, unknown>
  [field: string]: any
}

@Controller()
export class ApiController {
  constructor(@Inject('GATEWAY') private readonly gateway: ClientProxy) {}

  /** One answer, that tells what came. */
  @EventPattern({ cmd: 'send' })
  send(@Payload() { metadata, ...data }: FromClient): void {
    this.gateway.emit({ cmd: 'recv' }, { heard: data, from: metadata, metadata })
  }

  /** An assistant that thinks aloud: the answer so far, each time a word longer. */
  @EventPattern({ cmd: 'ask', v: 2 })
  ask(@Payload() { metadata, words }: FromClient): void {
    for (let length = 1; length <= words.length; length++) {
      this.gateway.emit({ cmd: 'recv' }, { text: words.slice(0, length).join(' '), metadata })
    }
  }

  @MessagePattern({ cmd: 'quote' })
  quote(@Payload() { metadata, article }: FromClient) {
    return { article, price: 12.5, for: metadata.userId }
  }

  @MessagePattern('nothing')
  nothing(): null {
    return null
  }

  @MessagePattern('silence')
  silence(): void {}

  @MessagePattern('refuse')
  refuse(): never {
    throw new RpcException('we are closed')
  }

  @MessagePattern('refuse at length')
  refuseAtLength(): never {
    throw new RpcException({ code: 42, message: 'we are closed on Sundays' })
  }

  @MessagePattern('break')
  break(): never {
    throw new Error('a secret detail')
  }

  @MessagePattern('count')
  count(): Observable<number> {
    return of(1, 2, 3)
  }
}

@Module({ imports: [DeskModule], controllers: [ApiController] })
export class ApiModule {}
