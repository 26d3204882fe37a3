// The packet walks with untagged VLANs.
import { test } from 'uvu'
import { defineWalks } from './walks.suite.ts'

defineWalks({ vlan: { 4: 0, 6: 0, other: 0 } })
test.run()
