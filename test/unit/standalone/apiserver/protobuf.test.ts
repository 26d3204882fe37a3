// Bodies in protobuf: what kubectl 1.32 sends, written here byte by byte by an encoder of the test's own.
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeProtobuf } from '../../../../lib/standalone/apiserver/protobuf.ts'

const test = suite('protobuf')

function varint(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return Buffer.from([...bytes, Number(rest)])
}
const number = (field: number, value: number | bigint): Buffer =>
  Buffer.concat([varint(BigInt(field) << 3n), varint(BigInt(value))])
const bytes = (field: number, ...content: (Buffer | string)[]): Buffer => {
  const body = Buffer.concat(content.map((part) => Buffer.from(part)))
  return Buffer.concat([varint((BigInt(field) << 3n) | 2n), varint(BigInt(body.length)), body])
}
const body = (apiVersion: string, kind: string, ...object: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from('k8s\0'), bytes(1, bytes(1, apiVersion), bytes(2, kind)), bytes(2, ...object)])

test('a whole object: maps, bytes, times, embedded structs, numbers of all kinds', () => {
  const meta = bytes(
    1,
    bytes(1, 'p'),
    bytes(3, 'ns'),
    bytes(8, number(1, 86400)),
    bytes(11, bytes(1, 'k'), bytes(2, 'v')),
    number(7, 3),
  )
  assert.equal(
    decodeProtobuf(body('v1', 'Secret', meta, bytes(2, bytes(1, 'key'), bytes(2, 'foo')), bytes(3, 'Opaque'))),
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name: 'p',
        namespace: 'ns',
        creationTimestamp: '1970-01-02T00:00:00Z',
        labels: { k: 'v' },
        generation: 3,
      },
      data: { key: 'Zm9v' },
      type: 'Opaque',
    },
  )
  const port = bytes(1, bytes(1, 'http'), number(3, 80), bytes(4, number(1, 1), bytes(3, 'web')))
  const negative = bytes(1, number(3, -1), bytes(4, number(2, 8080)))
  const service = decodeProtobuf(
    body('v1', 'Service', bytes(2, port, negative, bytes(2, bytes(1, 'app'), bytes(2, 'x')))),
  )
  assert.equal(service, {
    apiVersion: 'v1',
    kind: 'Service',
    spec: { ports: [{ name: 'http', port: 80, targetPort: 'web' }, { port: -1, targetPort: 8080 }], selector: { app: 'x' } }, // prettier-ignore
  })
  // Volume.volumeSource (2) is a message of its own here, and its members are the volume's in JSON; emptyDir is 2 of it.
  const volume = bytes(1, bytes(1, 'v'), bytes(2, bytes(2, bytes(1, 'Memory'))))
  const limits = bytes(8, bytes(1, bytes(1, 'cpu'), bytes(2, bytes(1, '100m'))))
  const pod = decodeProtobuf(body('v1', 'Pod', bytes(2, volume, bytes(2, bytes(1, 'c'), limits))))
  assert.equal(pod, {
    apiVersion: 'v1',
    kind: 'Pod',
    spec: {
      volumes: [{ name: 'v', emptyDir: { medium: 'Memory' } }],
      containers: [{ name: 'c', resources: { limits: { cpu: '100m' } } }],
    },
  })
})

test('unknown fields are passed over, of every wire type', () => {
  const fixed64 = Buffer.concat([varint((900n << 3n) | 1n), Buffer.alloc(8)])
  const fixed32 = Buffer.concat([varint((900n << 3n) | 5n), Buffer.alloc(4)])
  const object = decodeProtobuf(
    body('v1', 'ConfigMap', number(900, 1), bytes(901, 'x'), fixed64, fixed32, bytes(1, bytes(1, 'm'))),
  )
  assert.equal(object, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm' } })
})

test('what is no such body is refused, never misread into a crash', () => {
  const refused = (content: Buffer): boolean => {
    try {
      decodeProtobuf(content)
      return false
    } catch (error) {
      return (error as { code?: number }).code === 400
    }
  }
  assert.ok(refused(Buffer.from('{}')))
  assert.ok(refused(body('v1', 'Unheard')))
  const good = body('v1', 'ConfigMap', bytes(1, bytes(1, 'm')), bytes(2, bytes(1, 'a'), bytes(2, 'b')))
  fc.assert(
    fc.property(fc.nat(good.length - 5), fc.integer({ min: 0, max: 255 }), (at, value) => {
      const broken = Buffer.from(good)
      broken[at + 4] = value
      try {
        decodeProtobuf(broken)
      } catch (error) {
        assert.is((error as { code?: number }).code, 400, String(error))
      }
    }),
  )
})

test.run()
