// CustomResourceDefinitions and what they define: ours, and one with everything a schema can say.
import type { Case, Step } from '../session.ts'

const definition = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.parity.example.com}
spec:
  group: parity.example.com
  scope: Namespaced
  names: {plural: gadgets, kind: Gadget, shortNames: [gd], categories: [toys]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}}
    selectableFields: [{jsonPath: .spec.color}]
    additionalPrinterColumns:
    - {name: Color, type: string, jsonPath: .spec.color, description: What it looks like}
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    - {name: Tags, type: string, jsonPath: .spec.tags, priority: 1}
    - {name: Weight, type: number, jsonPath: .spec.weight, priority: 1}
    - {name: Since, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            required: [color, size]
            properties:
              color: {type: string, enum: [red, green, blue], default: red, description: The color.}
              size: {type: integer, minimum: 1, maximum: 10, multipleOf: 1}
              even: {type: integer, multipleOf: 2}
              weight: {type: number, minimum: 0, exclusiveMinimum: true}
              code: {type: string, pattern: '^[a-z]+$', minLength: 2, maxLength: 4}
              tags: {type: array, items: {type: string}, maxItems: 3, minItems: 1, x-kubernetes-list-type: set}
              parts: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [id], items: {type: object, required: [id], properties: {id: {type: string}, count: {type: integer, default: 1}}}}
              port: {x-kubernetes-int-or-string: true}
              when: {type: string, format: date-time}
              address: {type: string, format: ipv4}
              small: {type: integer, format: int32}
              options: {type: object, additionalProperties: {type: string}, maxProperties: 2}
              any: {type: object, x-kubernetes-preserve-unknown-fields: true}
              maybe: {type: string, nullable: true}
              one: {type: object, properties: {a: {type: string}, b: {type: string}}, oneOf: [{required: [a]}, {required: [b]}]}
              flag: {type: boolean}
              replicas: {type: integer}
          status:
            type: object
            properties:
              replicas: {type: integer}
              selector: {type: string}
              conditions: {type: array, items: {type: object, properties: {type: {type: string}, status: {type: string}}}}
`

const gadget = (spec: string, metadata = 'name: g'): string =>
  `apiVersion: parity.example.com/v1\nkind: Gadget\nmetadata: {${metadata}}\nspec: ${spec}\n`

/** Each is refused, for one reason or several. */
const wrong: readonly string[] = [
  '{color: red}',
  '{color: pink, size: 1}',
  '{color: red, size: 11}',
  '{color: red, size: 0}',
  '{color: red, size: 1.5}',
  '{color: red, size: "1"}',
  '{color: 1, size: 1}',
  '{color: red, size: 1, even: 3}',
  '{color: red, size: 1, weight: 0}',
  '{color: red, size: 1, code: A}',
  '{color: red, size: 1, code: abcdef}',
  '{color: red, size: 1, tags: []}',
  '{color: red, size: 1, tags: [a, b, c, d]}',
  '{color: red, size: 1, tags: [a, a]}',
  '{color: red, size: 1, tags: [1]}',
  '{color: red, size: 1, tags: a}',
  '{color: red, size: 1, parts: [{id: a}, {id: a}]}',
  '{color: red, size: 1, parts: [{count: 1}]}',
  '{color: red, size: 1, parts: [{id: a, count: x}]}',
  '{color: red, size: 1, port: true}',
  '{color: red, size: 1, when: yesterday}',
  '{color: red, size: 1, address: 300.1.1.1}',
  '{color: red, size: 1, small: 3000000000}',
  '{color: red, size: 1, options: {a: 1}}',
  '{color: red, size: 1, options: {a: b, c: d, e: f}}',
  '{color: red, size: 1, one: {}}',
  '{color: red, size: 1, one: {a: x, b: y}}',
  '{color: red, size: 1, flag: "yes"}',
  '{color: null, size: null}',
  '{color: pink, size: 99, code: A, tags: [1, 2], flag: 3}',
  'text',
  'null',
]

/** As `wrong`, in the definition itself: what is replaced by what. */
const wrongDefinitions: readonly (readonly [string, string])[] = [
  ['name: gadgets.parity.example.com', 'name: wrong.parity.example.com'],
  ['storage: true', 'storage: false'],
  ['scope: Namespaced', 'scope: Sideways'],
  ['type: boolean', 'type: truth'],
  ["pattern: '^[a-z]+$'", "pattern: '['"],
  ['{x-kubernetes-int-or-string: true}', '{}'],
  ['kind: Gadget,', 'kind: gad get,'],
  ['x-kubernetes-list-map-keys: [id]', 'x-kubernetes-list-map-keys: [nothing]'],
  ['default: red', 'default: pink'],
  ['name: v1', 'name: one'],
  ['jsonPath: .spec.size', 'jsonPath: spec size'],
  ['group: parity.example.com', 'group: parity'],
  ['type: object\n        required', 'type: array\n        required'],
  ['jsonPath: .spec.color}]', 'jsonPath: .spec.nothing}]'],
  ['minimum: 1,', 'minimum: 1, uniqueItems: true,'],
  ['group: parity.example.com', 'group: ""'],
  ['plural: gadgets', 'plural: Gadgets'],
  ['format: ipv4', 'format: unheard'],
  ['type: date', 'type: day'],
  ['specReplicasPath: .spec.replicas', 'specReplicasPath: spec.replicas'],
]

const networks = `apiVersion: networking.alibaba.com/v1
kind: Network
metadata: {name: parity}
spec: {type: Overlay, mode: VXLAN, netID: 4}
---
apiVersion: networking.alibaba.com/v1
kind: Subnet
metadata: {name: parity}
spec: {network: parity, range: {version: "4", cidr: 10.0.0.0/24}}
`

export const customCases: readonly Case[] = [
  {
    name: 'definitions',
    files: {
      'crd.yaml': definition,
      'good.yaml': gadget('{size: 3, tags: [a, b], parts: [{id: a}], port: 80, maybe: null, any: {x: 1}}'),
      'unknown.yaml': gadget('{size: 3, nothing: 1, parts: [{id: a, more: 2}]}', 'name: u'),
      'applied.yaml': gadget('{size: 3, parts: [{id: b, count: 2}]}'),
      'other.yaml': gadget('{size: 4, parts: [{id: b, count: 3}]}'),
      'label.yaml': gadget('{size: 1}', 'name: wrong, labels: {a: 1}'),
      'name.yaml': gadget('{size: 1}', 'name: Wrong'),
      ...Object.fromEntries(wrong.map((spec, index) => [`wrong-${index}.yaml`, gadget(spec, 'name: wrong')])),
    },
    steps: [
      'kubectl create -f crd.yaml',
      'kubectl wait --for=condition=Established crd/gadgets.parity.example.com --timeout=60s',
      'until_ok kubectl get gadgets',
      'kubectl get crd gadgets.parity.example.com',
      "kubectl get crd gadgets.parity.example.com -o jsonpath='{.status.acceptedNames}{.status.storedVersions}{.status.conditions[*].type}{.status.conditions[*].reason}{.status.conditions[*].message}'",
      'kubectl get crd gadgets.parity.example.com -o yaml | sed -n "/^spec/,/schema:/p"',
      'until_ok kubectl explain gadget.spec.color',
      'kubectl create -f good.yaml',
      'kubectl get gadgets',
      'kubectl get gd -o wide',
      'kubectl get toys',
      'kubectl get gadget g -o yaml',
      'kubectl describe gadget g | sed "/Resource Version/d"',
      'kubectl create -f unknown.yaml',
      'kubectl create -f unknown.yaml --validate=warn',
      'kubectl create -f unknown.yaml --validate=ignore',
      'kubectl get gadget u -o jsonpath={.spec}',
      'kubectl get gadgets --field-selector=spec.color=red -o name',
      'kubectl get gadgets --field-selector=spec.color=blue -o name',
      'kubectl get gadgets --field-selector=spec.size=3',
      `kubectl patch gadget g --type=merge -p '{"spec":{"color":"blue"},"status":{"replicas":7}}'`,
      'kubectl get gadget g -o jsonpath={.metadata.generation}{.status}',
      `kubectl patch gadget g --subresource=status --type=merge -p '{"spec":{"color":"green"},"status":{"replicas":2,"selector":"a=b","conditions":[{"type":"Ready","status":"True"}]}}'`,
      'kubectl get gadget g -o jsonpath={.metadata.generation}{.spec.color}{.status}',
      'kubectl get gadgets',
      'kubectl wait --for=condition=Ready gadget/g --timeout=10s',
      'kubectl scale gadget g --replicas=4',
      'kubectl get gadget g -o jsonpath={.spec.replicas}',
      'kubectl get --raw /apis/parity.example.com/v1/namespaces/$NS/gadgets/g/scale',
      `kubectl patch gadget g -p '{"spec":{"color":"blue"}}'`,
      `kubectl patch gadget g --type=merge -p '{"spec":{"color":"pink"}}'`,
      `kubectl patch gadget g --type=json -p '[{"op":"remove","path":"/spec/size"}]'`,
      ...wrong.map((spec, index): Step => {
        const run = `kubectl create --validate=ignore -f wrong-${index}.yaml # ${spec}`
        return spec === 'text' ? { run, differs: 'the real one stumbles over the scale subresource, too' } : run
      }),
      { quiet: 'kubectl delete gadget wrong --ignore-not-found' },
      'kubectl create --validate=ignore -f label.yaml',
      'kubectl create --validate=ignore -f name.yaml',
      'kubectl apply --server-side -f applied.yaml',
      'kubectl get gadget g -o jsonpath={.spec.parts}',
      'kubectl apply --server-side --field-manager=other -f other.yaml 2>&1 | sort',
      'kubectl delete gadgets --all',
      'kubectl delete crd gadgets.parity.example.com',
      { run: 'kubectl get gadgets', differs: 'the real one answers unknown paths without a Status' },
    ],
  },
  {
    name: 'definitions-wrong',
    files: Object.fromEntries(
      wrongDefinitions.map(([from, to], index) => [`wrong-${index}.yaml`, definition.replace(from, to)]),
    ),
    steps: wrongDefinitions.flatMap(([from, to], index): Step[] => {
      const run = `kubectl create --validate=ignore -f wrong-${index}.yaml # ${JSON.stringify(from)}: ${JSON.stringify(to)}`
      const goes = from === 'storage: true' || from.startsWith('pattern')
      return [
        goes ? { run, differs: 'the real one speaks of Go values' } : run,
        { quiet: 'kubectl delete crd gadgets.parity.example.com --ignore-not-found' },
      ]
    }),
  },
  {
    name: 'ours',
    files: { 'networks.yaml': networks, 'changed.yaml': networks.replace('netID: 4', 'netID: 5') },
    steps: [
      'kubectl apply -f networks.yaml',
      'kubectl apply -f networks.yaml',
      'kubectl apply -f changed.yaml',
      'kubectl get networks,subnets',
      'kubectl get networks -o wide',
      'kubectl describe network parity | sed "/Resource Version/d"',
      'kubectl describe subnet parity | sed "/Resource Version/d"',
      'kubectl get subnet parity -o yaml',
      `kubectl create -f - <<<'{"apiVersion":"networking.alibaba.com/v1","kind":"Subnet","metadata":{"name":"wrong"},"spec":{"network":"parity"}}'`,
      `kubectl create -f - <<<'{"apiVersion":"networking.alibaba.com/v1","kind":"Network","metadata":{"name":"wrong"},"spec":{"netID":"x"}}'`,
      `kubectl create -f - <<<'{"apiVersion":"networking.alibaba.com/v1","kind":"Network","metadata":{"name":"wrong"},"spec":{"netID":1,"nodeSelector":{"a":1}}}'`,
      `kubectl patch network parity --subresource=status --type=merge -p '{"status":{"lastAllocatedSubnet":"parity"}}'`,
      'kubectl delete -f networks.yaml',
    ],
  },
]
