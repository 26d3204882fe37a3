// A CNI plugin for tests of what runs plugins: a routed veth per container, by `ip`, in whatever namespace it is run in.
// It writes down each call and refuses when told to.
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** One call of the plugin. */
export interface PluginCall {
  readonly command: string
  readonly container: string
  readonly netns: string
  readonly args: string
}

export class TestPlugin {
  readonly #directory: string

  /**
   * @param directory where its executable `wire`, its log and its orders are kept
   * @param prefix first three bytes of the pods' addresses, such as `10.9.1`
   */
  constructor(directory: string) {
    this.#directory = directory
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, 'wire'), source(directory))
    chmodSync(join(directory, 'wire'), 0o755)
  }

  /** A conflist that uses it; pods get addresses of `prefix` (three bytes: `10.9.1`). */
  conflist(prefix: string, gateway: string): object {
    return { cniVersion: '1.0.0', name: 'test', plugins: [{ type: 'wire', prefix, gateway }] }
  }

  /** Calls so far, oldest first. */
  calls(): PluginCall[] {
    const path = join(this.#directory, 'calls')
    if (!existsSync(path)) return []
    const lines = readFileSync(path, 'utf8').split('\n')
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as PluginCall)
  }

  /** Refuse a command from now on, or no longer. */
  refuse(command: 'ADD' | 'DEL', refused: boolean): void {
    this.#order(`refuse-${command}`, refused)
  }

  /** Never answer a command from now on, or answer again. */
  hang(command: 'ADD' | 'DEL', hanging: boolean): void {
    this.#order(`hang-${command}`, hanging)
  }

  #order(name: string, inForce: boolean): void {
    const path = join(this.#directory, name)
    if (inForce) writeFileSync(path, '')
    else rmSync(path, { force: true })
  }
}

function source(directory: string): string {
  return `#!${process.execPath}
const fs = require('node:fs')
const { execFileSync } = require('node:child_process')
const config = JSON.parse(fs.readFileSync(0, 'utf8'))
const { CNI_COMMAND: command, CNI_CONTAINERID: container, CNI_NETNS: netns, CNI_IFNAME: ifname, CNI_ARGS: args } = process.env
const ip = (...words) => execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'inherit'] })
const inPod = (...words) =>
  execFileSync('nsenter', ['--net=' + netns, 'ip', ...words], { stdio: ['ignore', 'ignore', 'inherit'] })
fs.appendFileSync('${directory}/calls', JSON.stringify({ command, container, netns, args }) + '\\n')
if (fs.existsSync('${directory}/refuse-' + command)) {
  console.log(JSON.stringify({ cniVersion: config.cniVersion, code: 11, msg: 'told to refuse' }))
  process.exit(1)
}
if (fs.existsSync('${directory}/hang-' + command)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
const host = 'w' + container.slice(0, 10)
if (command === 'ADD') {
  const last = '${directory}/last-' + config.prefix
  const number = fs.existsSync(last) ? Number(fs.readFileSync(last, 'utf8')) + 1 : 2
  fs.writeFileSync(last, String(number))
  const address = config.prefix + '.' + number
  ip('link', 'add', host, 'type', 'veth', 'peer', 'name', ifname, 'netns', netns)
  ip('link', 'set', host, 'up')
  ip('route', 'add', address, 'dev', host)
  inPod('link', 'set', ifname, 'up')
  inPod('addr', 'add', address + '/32', 'dev', ifname)
  inPod('route', 'add', config.gateway, 'dev', ifname)
  inPod('route', 'add', 'default', 'via', config.gateway)
  const interfaces = [{ name: host }, { name: ifname, sandbox: netns }]
  console.log(JSON.stringify({ cniVersion: config.cniVersion, interfaces, ips: [{ address: address + '/32', interface: 1 }] }))
}
if (command === 'DEL' && fs.existsSync('/proc/self/net/dev') && fs.readFileSync('/proc/self/net/dev', 'utf8').includes(host)) {
  ip('link', 'delete', host)
}
`
}
