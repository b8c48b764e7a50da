// nginx in front of several nodes. Requests with a connection's id go to the node that the id names.

import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { within } from '../../nodejs/within.mjs'

// Debian's folder for it is not in everybody's PATH.
const PATH = `${process.env.PATH}:/usr/sbin`

/**
 * The other nodes are each node's backup: if it is gone, they answer that there is no such connection.
 * The worker keeps the user of the tests, whose folder it is.
 */
const configuration = (port, nodes) => `
${process.getuid() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;

  map $arg_sid $node {
    default all;
${nodes.map(({ node }) => `    "~^${node}\\." ${node};`).join('\n')}
  }
  map $http_upgrade $upgrade_or_none {
    default upgrade;
    "" "";
  }
  upstream all {
${nodes.map(({ port }) => `    server 127.0.0.1:${port};`).join('\n')}
  }
${nodes.map((own) => `  upstream ${own.node} {
    server 127.0.0.1:${own.port};
${nodes.filter((other) => other !== own).map(({ port }) => `    server 127.0.0.1:${port} backup;`).join('\n')}
  }`).join('\n')}
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://$node;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $upgrade_or_none;
      proxy_buffering off;
      proxy_read_timeout 1h;
    }
  }
}
`

export class Nginx {
  static async before(nodes) {
    const folder = await mkdtemp(join(tmpdir(), 'frontdesk-nginx-'))
    // The port may be taken before nginx has it.
    for (let tries = 1; ; tries++) {
      const nginx = new Nginx(folder, await freePort())
      await writeFile(join(folder, 'nginx.conf'), configuration(nginx.port, nodes))
      try {
        await nginx.#run()
        return nginx
      } catch (error) {
        if (tries === 3) throw error
      }
    }
  }

  constructor(folder, port) {
    Object.assign(this, { folder, port, url: `http://127.0.0.1:${port}` })
  }

  async #run() {
    await mkdir(join(this.folder, 'logs'), { recursive: true })
    const child = spawn('nginx', ['-p', this.folder, '-c', 'nginx.conf', '-e', 'stderr'], {
      env: { ...process.env, PATH }, stdio: ['ignore', 'ignore', 'pipe'],
    })
    let log = ''
    child.stderr.on('data', (chunk) => (log = (log + chunk).slice(-5_000)))
    this.child = child
    process.once('exit', () => child.kill())
    let hasEnded = false
    this.ended = new Promise((resolve) => child.once('exit', resolve)).then(() => (hasEnded = true))
    const answers = async () => {
      while (!(await fetch(`${this.url}/healthz`).catch(() => undefined))) {
        if (hasEnded) throw new Error(`nginx ended:\n${log}`)
        await sleep(20)
      }
    }
    await within(answers(), () => `start of nginx; it said\n${log}`)
  }

  async stop() {
    // Its worker ends with it, unlike after SIGKILL.
    this.child.kill('SIGTERM')
    await this.ended
    await rm(this.folder, { recursive: true, force: true })
  }
}

async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}
