// A tutorial's client, in a process of its own.

import { spawn } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { within } from '../../nodejs/within.mjs'

const HERE = join(import.meta.dirname, '..')

export class Program {
  /** Runs a tutorial's client with another address, and with a token. */
  static async run(name, url, token) {
    const written = await readFile(join(HERE, 'tutorials', name), 'utf8')
    const changed = written
      .replace(/(['"])socket\.io-client\1/, `'client-4-8'`)
      .replace(/io\((['"])(?:http|ws):\/\/localhost:3000\1\)/, `io('${url}', { auth: { token: '${token}' } })`)
    // Beside the tests, so that its import is found.
    const file = join(HERE, `running-${process.pid}-${name}`)
    await writeFile(file, changed)
    return new Program(file)
  }

  #lines = []
  #check = () => undefined

  constructor(file) {
    this.file = file
    this.child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] })
    createInterface(this.child.stdout).on('line', (line) => {
      this.#lines.push(line)
      this.#check()
    })
  }

  /** Waits for a line that it prints. */
  prints(wanted) {
    const printed = new Promise((resolve) => {
      this.#check = () => this.#lines.includes(wanted) && resolve()
      this.#check()
    })
    return within(printed, () => `line ${wanted}; there is ${JSON.stringify(this.#lines)}`)
  }

  async stop() {
    this.child.kill()
    await rm(this.file)
  }
}
