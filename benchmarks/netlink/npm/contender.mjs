// The npm contender: the package `netlink`, one awaited request per object, as its manual shows it. The package does not
// encode NDA_IFINDEX or strict checks, so dumps come whole and are filtered here.
//
//   contender.mjs PACKAGE_FOLDER GROUP COUNT DEVICE_INDEX   prints {"add","dump","delete" in seconds,"count","cpu","blocked" and "held" in ms}
import { Buffer } from 'node:buffer'
import { createRequire } from 'node:module'
import { performance } from 'node:perf_hooks'
import { longestTurn } from '../../support/event-loop.ts'

const [, , folder, group, countText, deviceText] = process.argv
const require = createRequire(`${folder}/package.json`)
const { createRtNetlink } = require('netlink')

const TABLE = 1000
const WARM = 2000
/** NLM_F_CREATE | NLM_F_EXCL */
const CREATE = { flags: 0x600 }
const AF_INET = 2
const AF_INET6 = 10

const ipv4 = (i) => {
  const address = Buffer.alloc(4)
  address.writeUInt32BE(0x0a000001 + i)
  return address
}
const ipv6 = (i) => {
  const address = Buffer.alloc(16)
  address[0] = 0xfd
  address.writeUInt32BE(i + 1, 12)
  return address
}
const mac = (i) => {
  const address = Buffer.alloc(6)
  address[0] = 2
  address.writeUInt32BE(i + 1, 2)
  return address
}

const socket = createRtNetlink({ ref: true })
const device = Number(deviceText)

function routes(family, address) {
  const length = family === AF_INET ? 32 : 128
  const data = { family, dstLen: length, protocol: 4, scope: family === AF_INET ? 253 : 0, type: 1 }
  return {
    add: (i) => socket.newRoute(data, { dst: address(i), table: TABLE, oif: device }, CREATE),
    remove: (i) => socket.delRoute({ ...data, scope: 255 }, { dst: address(i), table: TABLE, oif: device }),
    dump: async () => (await socket.getRoutes({ family })).filter((route) => route.attrs.table === TABLE).length,
  }
}

function neighbours(family, address) {
  const data = { family, ifindex: device, state: { permanent: true } }
  return {
    add: (i) => socket.newNeighbor(data, { dst: address(i), lladdr: mac(i) }, CREATE),
    remove: (i) => socket.delNeighbor({ family, ifindex: device }, { dst: address(i) }),
    dump: async () => (await socket.getNeighbors({ family })).filter((entry) => entry.data.ifindex === device).length,
  }
}

const groups = {
  routes4: () => routes(AF_INET, ipv4),
  routes6: () => routes(AF_INET6, ipv6),
  neigh4: () => neighbours(AF_INET, ipv4),
  neigh6: () => neighbours(AF_INET6, ipv6),
}

const { add, remove, dump } = groups[group]()
const count = Number(countText)
const all = async (change, n) => {
  for (let i = 0; i < n; i++) await change(i)
}

const before = await dump()
await all(add, Math.min(count, WARM))
await dump()
await all(remove, Math.min(count, WARM))

let found = 0
const phases = {
  add: () => all(add, count),
  dump: async () => (found = (await dump()) - before),
  delete: () => all(remove, count),
}
const [wall, cpu, blocked, held] = [{}, {}, {}, {}]
for (const [phase, work] of Object.entries(phases)) {
  const started = performance.now()
  const processor = process.cpuUsage()
  const turn = await longestTurn(work)
  blocked[phase] = turn.wall
  held[phase] = turn.cpu
  wall[phase] = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(processor)
  cpu[phase] = (user + system) / 1e6
}
console.log(JSON.stringify({ ...wall, count: found, cpu, blocked, held }))
process.exit(0)
