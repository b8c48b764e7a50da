// What this service has heard, for whoever asks.

import { Injectable } from '@nestjs/common'
import { ReplaySubject, filter, firstValueFrom, take, toArray, timeout } from 'rxjs'

export interface Entry {
  pattern: string
  data: any
}

@Injectable()
export class Journal {
  private readonly entries = new ReplaySubject<Entry>()

  write(pattern: string, data: any): void {
    this.entries.next({ pattern, data })
  }

  /** The first `count` entries that are asked for, those of the past included; waits for them. */
  read(wanted: (entry: Entry) => boolean, count = 1): Promise<Entry[]> {
    return firstValueFrom(this.entries.pipe(filter(wanted), take(count), toArray(), timeout(20_000)))
  }
}
