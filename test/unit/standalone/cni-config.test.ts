// What a runtime hands to plugins and reads from them.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  compareVersions,
  configCandidates,
  parseConfigList,
  parsePluginError,
  parseResult,
  passesPreviousResult,
  pluginEnvironment,
  pluginInput,
  podArguments,
  resultAddresses,
} from '../../../lib/standalone/nodes/cni-config.ts'

const list = (over: object = {}): string =>
  JSON.stringify({ cniVersion: '0.4.0', name: 'net', plugins: [{ type: 'a', x: 1 }], ...over })

test('parseConfigList() names file, field and expectation', () => {
  for (const [text, message] of [
    ['{', /^f: not JSON/],
    ['[]', /^f: expected a JSON object/],
    [list({ name: 'a b' }), /^f: name "a b": expected/],
    [list({ plugins: [] }), /^f: plugins \[\]: expected/],
    [list({ plugins: [{}] }), /^f: plugins\[0\]\.type: expected/],
    [list({ plugins: [{ type: '../sh' }] }), /^f: plugins\[0\]\.type: expected/],
    [list({ cniVersion: '9.0.0' }), /^f: cniVersion "9\.0\.0": expected one of 0\.3\.0, /],
  ] as const) {
    assert.throws(
      () => parseConfigList(text, 'f'),
      (error: Error) => message.test(error.message),
    )
  }
})

test('the highest version we speak is chosen', () => {
  assert.is(parseConfigList(list({ cniVersions: ['0.3.1', '1.1.0', '7.0.0'] }), 'f').cniVersion, '1.1.0')
  assert.ok(compareVersions('0.10.0', '0.9.9') > 0)
  assert.is(compareVersions('1.0', '1.0.0'), 0)
})

test('configuration files are tried by name', () => {
  assert.equal(configCandidates(['10-b.conflist', '06-a.conflist', 'README', '00-x.conf']), [
    '06-a.conflist',
    '10-b.conflist',
  ])
})

test('a plugin gets its own configuration with the name and version of the list', () => {
  const parsed = parseConfigList(list({ plugins: [{ type: 'a', x: 1, name: 'own', cniVersion: '0.1.0' }] }), 'f')
  const [plugin] = parsed.plugins
  assert.ok(plugin)
  assert.equal(pluginInput(parsed, plugin, null), { type: 'a', x: 1, name: 'net', cniVersion: '0.4.0' })
  assert.equal(pluginInput(parsed, plugin, { ips: [] })['prevResult'], { ips: [] })
  assert.ok(passesPreviousResult(parsed))
  assert.not(passesPreviousResult(parseConfigList(list({ cniVersion: '0.3.1' }), 'f')))
})

test('the environment of ADD is what containerd passes', () => {
  const args = podArguments({ namespace: 'ns', name: 'p', uid: 'u', containerId: 'c1' })
  const environment = pluginEnvironment('ADD', { containerId: 'c1', netns: '/n', ifname: 'eth0', args }, ['/a', '/b'])
  assert.equal(environment, {
    CNI_COMMAND: 'ADD',
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: '/n',
    CNI_IFNAME: 'eth0',
    CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=p;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u',
    CNI_PATH: '/a:/b',
  })
  assert.equal(pluginEnvironment('STATUS', null, ['/a']), { CNI_COMMAND: 'STATUS', CNI_PATH: '/a' })
})

test('only addresses of interfaces in the sandbox are the pod’s', () => {
  const result = parseResult(
    'ADD',
    JSON.stringify({
      interfaces: [{ name: 'hybr1' }, { name: 'eth0', sandbox: '/n' }],
      ips: [
        { address: '10.0.0.1/24', interface: 0 },
        { address: '10.0.0.2/24', interface: 1 },
        { address: 'fd00::2/64', interface: 1 },
      ],
    }),
  )
  assert.equal(resultAddresses(result), ['10.0.0.2', 'fd00::2'])
  assert.equal(resultAddresses({}), [])
})

test('errors keep the plugin’s code and words, or say that there were none', () => {
  const refused = parsePluginError('CNI ADD a', 'exit 1', '{"code":11,"msg":"try","details":"again"}', '')
  assert.is(refused.code, 11)
  assert.is(refused.message, 'CNI ADD a: try: again (code 11)')
  assert.match(parsePluginError('CNI ADD a', 'SIGSEGV', '', 'boom').message, /SIGSEGV, no error object .*boom/)
  assert.throws(() => parseResult('CNI ADD a', 'hello'), /stdout is not a result/)
})

test.run()
