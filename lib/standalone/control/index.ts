// Orders to a running cluster from outside: `hybridnet standalone node ...`.
export { execute, type NodeReport, type Order, type ProgramAction } from './operations.ts'
export { ControlSocket, giveOrder } from './socket.ts'
