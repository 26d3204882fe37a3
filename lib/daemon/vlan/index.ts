// Addresses of pods on VLANs: asked about before a pod gets one, announced when it has.
//
// addresses.ts is what the daemon uses; check.ts asks, language.ts says it in ARP (arp.ts) or neighbour discovery (ndp.ts),
// segment.ts shares the sockets. Not here: who answers for the addresses afterwards (the kernel, by proxy neighbours of
// lib/dataplane), and conflicts that begin later.
export { VlanAddresses, type VlanAddress, type VlanAddressesOptions } from './addresses.ts'
export { checkAddress, type AddressQuestion, type AddressVerdict } from './check.ts'
export { Segments } from './segment.ts'
