// Terminal sessions of kubectl (writing) against the embedded control plane, held against transcripts of the real one.
import { bringUpLoopback } from '../../support/loopback.ts'
import { writeCases } from '../../support/parity/cases/write.ts'
import { startEmbedded } from '../../support/parity/embedded.ts'
import { runParity } from '../../support/parity/suite.ts'

bringUpLoopback()
runParity({ name: 'write', cases: writeCases, start: startEmbedded })
