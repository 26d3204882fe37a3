// One MAC per pod, unlike every other of the cluster (manager.md D16): random ones collide soon in a large layer-2 domain.
import { generateMac } from '../api/index.ts'
import type { Allocator } from '../ipam/index.ts'

/** 2^24 addresses have the prefix; this many misses in a row mean that nearly all are taken. */
const ATTEMPTS = 4096

/**
 * A MAC no record has, claims in flight included.
 *
 * @throws Error when the space of the prefix is used up
 */
export function drawMac(allocator: Pick<Allocator, 'macInUse'>, draw: () => number = generateMac): number {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const mac = draw()
    if (!allocator.macInUse(mac)) return mac
  }
  throw new Error(`no free MAC address found in ${ATTEMPTS} attempts`)
}
