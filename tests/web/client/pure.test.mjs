// The client's decisions that need no connection.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Log, pause } from '../kit/people.mjs'
import { pick, randomOf, seed } from '../kit/random.mjs'

const message = (seq, kind = 'text') => ({ seq, kind, id: seq, message: `${seq}` })

describe('a log', () => {
  it('is a run without a gap, whatever comes, and in which order', () => {
    for (let run = 0; run < 300; run++) {
      const random = randomOf(seed + run)
      const start = pick(random, 20)
      const log = new Log()
      log.begin(start)
      for (let step = 0; step < 200; step++) {
        const seq = 1 + pick(random, 40)
        const position = log.position
        const expected = seq <= position ? 'known' : seq === position + 1 ? 'new' : 'hole'
        assert.equal(log.append(message(seq)), expected, `seed ${seed + run}`)
        if (pick(random, 10) === 0) {
          const from = pick(random, 20)
          log.prepend(Array.from({ length: pick(random, 10) }, (_, at) => message(from + at + 1)))
        }
        const seqs = log.entries.map(({ seq }) => seq)
        assert.deepEqual(
          seqs,
          Array.from({ length: seqs.length }, (_, at) => log.first + at),
          `seed ${seed + run}`,
        )
        assert.equal(log.first + seqs.length - 1, log.position, `seed ${seed + run}`)
      }
    }
  })

  it('counts a kind that is not known, and does not show it', () => {
    const log = new Log()
    log.begin(0)
    assert.deepEqual(
      [log.append(message(1)), log.append(message(2, 'edit')), log.append(message(3))],
      ['new', 'new', 'new'],
    )
    assert.deepEqual(
      log.entries.map(({ seq }) => seq),
      [1, 3],
    )
    assert.equal(log.position, 3)
  })

  it('takes nothing before it has begun, and holds a bounded number', () => {
    const log = new Log()
    assert.equal(log.append(message(1)), 'hole')
    log.begin(0)
    for (let seq = 1; seq <= 12_001; seq++) log.append(message(seq))
    assert.deepEqual([log.entries.length, log.first, log.position, log.hasOlder], [10_000, 2_002, 12_001, true])
    assert.equal(log.prepend([message(2_000), message(2_001)]), 2)
  })
})

describe('a pause', () => {
  it('is random between half a second and a bound that grows to half a minute', () => {
    for (let tries = 0; tries < 40; tries++) {
      const bound = Math.min(30_000, 1_000 * 2 ** tries)
      assert.deepEqual([pause(tries, () => 0), pause(tries, () => 1)], [500, bound])
    }
  })
})
