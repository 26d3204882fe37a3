import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  boolFlag,
  durationFlag,
  formatDuration,
  helpText,
  intFlag,
  listFlag,
  parseDuration,
  parseFlags,
  stringFlag,
  UsageError,
} from '../../lib/main/flags.ts'

const flags = {
  'bind-socket': stringFlag('/run/a.sock', 'PATH', 'socket'),
  'prefer-interfaces': listFlag([], 'IF', 'interfaces'),
  'neigh-gc-thresh1': intFlag(1024, 0, 1 << 30, 'threshold'),
  'update-status': boolFlag(true, 'patch status'),
  'check-timeout': durationFlag('3s', 'time-out'),
}

test('defaults hold when nothing is given', () => {
  const { values, help, positionals } = parseFlags(flags, [])
  assert.equal(values, {
    'bind-socket': '/run/a.sock',
    'prefer-interfaces': [],
    'neigh-gc-thresh1': 1024,
    'update-status': true,
    'check-timeout': 3000,
  })
  assert.is(help, false)
  assert.equal(positionals, [])
})

test('both spellings, Go booleans, lists and durations', () => {
  const { values } = parseFlags(flags, [
    '--bind-socket=/x',
    '--prefer-interfaces',
    'eth0, eth1,',
    '--update-status=false',
    '--check-timeout=1m30s',
  ])
  assert.is(values['bind-socket'], '/x')
  assert.equal(values['prefer-interfaces'], ['eth0', 'eth1'])
  assert.is(values['update-status'], false)
  assert.is(values['check-timeout'], 90_000)
})

test('a boolean flag does not eat the next word', () => {
  const { values, positionals } = parseFlags(flags, ['--update-status', 'false'])
  assert.is(values['update-status'], true)
  assert.equal(positionals, ['false'])
})

test('the last of a repeated flag wins', () => {
  assert.is(parseFlags(flags, ['--neigh-gc-thresh1=1', '--neigh-gc-thresh1=2']).values['neigh-gc-thresh1'], 2)
})

test('mistakes name the flag, the value and what was expected', () => {
  const mistakes: [string[], RegExp][] = [
    [['--nonsense'], /unknown flag --nonsense/],
    [['--neigh-gc-thresh1=ten'], /--neigh-gc-thresh1 'ten': expected a whole number from 0/],
    [['--neigh-gc-thresh1=-1'], /expected a whole number/],
    [['--check-timeout=3'], /--check-timeout '3': expected a duration/],
    [['--update-status=maybe'], /--update-status 'maybe': expected true or false/],
    [['--bind-socket'], /--bind-socket needs a value \(PATH\)/],
    [['-x'], /unknown flag -x/],
  ]
  for (const [argv, pattern] of mistakes) {
    assert.throws(
      () => parseFlags(flags, argv),
      (error: unknown) => error instanceof UsageError && pattern.test(error.message),
      argv.join(' '),
    )
  }
})

test('durations', () => {
  assert.is(parseDuration('1h30m'), 5_400_000)
  assert.is(parseDuration('1.5s'), 1500)
  assert.is(parseDuration('300ms'), 300)
  assert.is(parseDuration('0'), 0)
  assert.throws(() => parseDuration('-1s'))
  for (const milliseconds of [0, 250, 3000, 90_000, 3_600_000, 5_400_000]) {
    assert.is(parseDuration(formatDuration(milliseconds)), milliseconds)
  }
})

test('help names every flag with its default', () => {
  const text = helpText('hybridnet x', 'Does x.', flags)
  for (const name of Object.keys(flags)) assert.match(text, `--${name}`)
  assert.match(text, '(default 3s)')
})

test.run()
