// Terminal sessions of kubectl (reading) against the embedded control plane, held against transcripts of the real one.
import { bringUpLoopback } from '../../support/loopback.ts'
import { getCases } from '../../support/parity/cases/get.ts'
import { startEmbedded } from '../../support/parity/embedded.ts'
import { runParity } from '../../support/parity/suite.ts'

bringUpLoopback()
runParity({ name: 'get', cases: getCases, start: startEmbedded })
