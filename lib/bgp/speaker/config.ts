// Configuration of peers, checked and with its defaults.
import { familyOf, formatAddress, isLinkLocal, type Family, type IPAddress } from '../../ip/index.ts'
import { checkAs } from '../codec/index.ts'
import type { PeerConfig } from './types.ts'

export interface ResolvedPeer {
  readonly address: IPAddress
  readonly as: number
  readonly port: number
  readonly localAddress: IPAddress | null
  readonly index: number
  readonly passive: boolean
  readonly password: string | null
  readonly holdTime: number
  readonly connectRetryTime: number
  readonly families: readonly Family[]
  readonly ttlSecurity: boolean
  readonly multihop: number
  readonly gracefulRestartTime: number
  readonly longLivedTime: number
  readonly accept: 'none' | 'default' | 'all'
  readonly maxPrefixes: number
}

function checkRange(peer: string, field: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`peer ${peer}: ${field} is ${value}, expected ${least} to ${most}`)
  }
  return value
}

/** @throws RangeError naming peer, field and value; never a password */
export function resolvePeer(config: PeerConfig): ResolvedPeer {
  const { address, password = null, families = [4, 6], ttlSecurity = false, multihop = 1 } = config
  const name = formatAddress(address)
  const holdTime = checkRange(name, 'holdTime', config.holdTime ?? 90, 0, 65535)
  if (holdTime === 1 || holdTime === 2) {
    throw new RangeError(`peer ${name}: holdTime is ${holdTime}, expected 0 or 3 to 65535 seconds`)
  }
  if (families.length === 0) throw new RangeError(`peer ${name}: families is empty, expected 4 or 6 or both`)
  if (password !== null && (password === '' || Buffer.byteLength(password) > 80)) {
    throw new RangeError(`peer ${name}: password has ${Buffer.byteLength(password)} bytes, expected 1 to 80`)
  }
  if (ttlSecurity && multihop !== 1) {
    throw new RangeError(`peer ${name}: multihop is ${multihop}, expected 1 with ttlSecurity`)
  }
  const { localAddress = null, index = 0 } = config
  if (localAddress !== null && familyOf(localAddress) !== familyOf(address)) {
    throw new RangeError(
      `peer ${name}: localAddress is ${formatAddress(localAddress)}, expected one of IPv${familyOf(address)}`,
    )
  }
  if (isLinkLocal(address) && familyOf(address) === 6 && index === 0) {
    throw new RangeError(`peer ${name}: index is 0, expected the device of a link-local address`)
  }
  try {
    checkAs(config.as)
  } catch (error) {
    throw new RangeError(`peer ${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
  return {
    address,
    as: config.as,
    port: checkRange(name, 'port', config.port ?? 179, 1, 65535),
    localAddress,
    index,
    passive: config.passive ?? false,
    password,
    holdTime,
    connectRetryTime: checkRange(name, 'connectRetryTime', config.connectRetryTime ?? 5, 1, 65535),
    families: [...families].sort(),
    ttlSecurity,
    multihop: checkRange(name, 'multihop', multihop, 1, 255),
    gracefulRestartTime: checkRange(name, 'gracefulRestartTime', config.gracefulRestartTime ?? 300, 0, 4095),
    longLivedTime: checkRange(name, 'longLivedTime', config.longLivedTime ?? 0, 0, 0xffffff),
    accept: config.accept ?? 'none',
    maxPrefixes: checkRange(name, 'maxPrefixes', config.maxPrefixes ?? 100_000, 1, 10_000_000),
  }
}

export function samePeer(a: ResolvedPeer, b: ResolvedPeer): boolean {
  return (Object.keys(a) as (keyof ResolvedPeer)[]).every((field) =>
    field === 'families' ? a.families.join() === b.families.join() : a[field] === b[field],
  )
}
