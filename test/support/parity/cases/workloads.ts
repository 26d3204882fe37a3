// Workloads: scale, rollouts, set, expose, wait; nodes: cordon, taint, drain; and what needs a kubelet that serves.
import type { Case } from '../session.ts'

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: "registry.local/web:1", ports: [{containerPort: 80, name: http}]}]
`
const statefulSet = deployment
  .replace('Deployment', 'StatefulSet')
  .replaceAll('web', 'db')
  .replace('replicas: 2', 'replicas: 2\n  serviceName: db')

export const workloadCases: readonly Case[] = [
  {
    name: 'deployment',
    files: { 'web.yaml': deployment },
    steps: [
      'kubectl create -f web.yaml',
      'kubectl rollout status deployment/web --timeout=60s | tail -1',
      'kubectl get deploy',
      'kubectl get deploy,rs,pods -o wide',
      'kubectl get deploy web -o yaml',
      'kubectl get rs -l app=web -o yaml',
      'kubectl get pods -l app=web -o jsonpath={.items[0].metadata.ownerReferences}{.items[0].metadata.generateName}',
      'kubectl scale deploy web --replicas=3',
      'kubectl wait --for=jsonpath={.status.readyReplicas}=3 deploy/web --timeout=60s',
      'kubectl scale deploy web --replicas=1 --current-replicas=2',
      'kubectl scale deploy web --replicas=1 --current-replicas=3',
      "until_says '1/1' kubectl get deploy web --no-headers",
      'kubectl scale deploy web --replicas=-1',
      'kubectl scale deploy nothing --replicas=1',
      'kubectl get --raw /apis/apps/v1/namespaces/$NS/deployments/web/scale',
      'kubectl set image deploy/web main=registry.local/web:2',
      'kubectl rollout status deploy web --timeout=60s | tail -1',
      'kubectl annotate deploy web kubernetes.io/change-cause="image two"',
      'kubectl rollout history deploy web',
      'kubectl rollout history deploy web --revision=2',
      'kubectl set env deploy/web A=b',
      'kubectl set env deploy/web --list',
      'kubectl rollout status deploy web --timeout=60s | tail -1',
      'kubectl rollout undo deploy web',
      'kubectl rollout status deploy web --timeout=60s | tail -1',
      'kubectl get deploy web -o jsonpath={.spec.template.spec.containers[0].env}',
      'kubectl rollout undo deploy web --to-revision=1',
      'kubectl rollout status deploy web --timeout=60s | tail -1',
      'kubectl rollout undo deploy web --to-revision=99',
      'kubectl rollout pause deploy web',
      'kubectl rollout pause deploy web',
      'kubectl rollout undo deploy web',
      'until_says DeploymentPaused kubectl get deploy web -o jsonpath=\'{.status.conditions[?(@.type=="Progressing")].reason}\'',
      'kubectl rollout resume deploy web',
      'kubectl rollout restart deploy web',
      'kubectl rollout status deploy web --timeout=60s | tail -1',
      "kubectl get deploy web -o jsonpath='{.spec.template.metadata.annotations}'",
      'kubectl set resources deploy web --limits=cpu=200m,memory=64Mi --dry-run=server -o jsonpath={.spec.template.spec.containers[0].resources}',
      'kubectl set serviceaccount deploy web default',
      'kubectl rollout status deploy web --timeout=60s | tail -1',
      'kubectl describe deploy web | sed /^Events:/,//d',
      'kubectl describe rs -l app=web | grep -E "^(Replicas|Pods Status|Controlled By)" | sort',
      'kubectl expose deploy web --port=80 --target-port=http',
      'kubectl expose deploy web --port=80',
      "until_says '[0-9]:80' kubectl get endpoints web",
      'kubectl get endpointslices -l kubernetes.io/service-name=web',
      'kubectl get endpointslices -l kubernetes.io/service-name=web -o yaml | sed "/last-change-trigger/d; /annotations:$/d"',
      'kubectl get endpoints web -o jsonpath={.subsets}{.metadata.labels}',
      'kubectl describe svc web',
      `kubectl patch deploy web -p '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}'`,
      `kubectl patch deploy web -p '{"spec":{"template":{"metadata":{"labels":{"app":"other"}}}}}'`,
      {
        run: `kubectl patch deploy web -p '{"spec":{"strategy":{"type":"Sideways"}}}'`,
        differs: 'the real one speaks of Go values',
      },
      `kubectl patch deploy web -p '{"spec":{"strategy":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":0}}}}'`,
      'kubectl delete deploy,svc web',
    ],
  },
  {
    name: 'statefulset',
    files: { 'db.yaml': statefulSet },
    steps: [
      'kubectl create -f db.yaml',
      'kubectl rollout status sts/db --timeout=60s | tail -1',
      'kubectl get sts -o wide',
      'kubectl get pods -l app=db',
      'kubectl get sts db -o yaml',
      'kubectl get pod db-0 -o yaml',
      'kubectl set image sts/db main=registry.local/db:2',
      'kubectl rollout status sts/db --timeout=60s | tail -1',
      'kubectl rollout history sts/db',
      'kubectl rollout undo sts/db',
      'kubectl rollout status sts/db --timeout=60s | tail -1',
      'kubectl get controllerrevisions --sort-by=.revision',
      'kubectl rollout restart sts/db',
      'kubectl rollout status sts/db --timeout=60s | tail -1',
      'kubectl scale sts db --replicas=1',
      'until_says NotFound kubectl get pod db-1',
      'kubectl describe sts db | sed "/^Events:/,//d"',
      `kubectl patch sts db -p '{"spec":{"serviceName":"other"}}'`,
      'kubectl delete sts db --cascade=foreground',
      'kubectl get pods,controllerrevisions -o name',
    ],
  },
  {
    name: 'wait',
    steps: [
      { quiet: 'kubectl run web --image=none; kubectl create cm there' },
      'kubectl wait --for=condition=Ready pod/web --timeout=60s',
      "kubectl wait --for=jsonpath='{.status.phase}'=Running pod/web --timeout=60s",
      'kubectl wait --for=condition=Nothing pod/web --timeout=1s',
      'kubectl wait --for=condition=Ready pod/nothing --timeout=1s',
      '(sleep 0.5; kubectl create cm late >/dev/null) & kubectl wait --for=create cm/late --timeout=60s',
      '(sleep 0.5; kubectl delete cm there >/dev/null) & kubectl wait --for=delete cm/there --timeout=60s >/dev/null',
      'kubectl wait --for=delete cm/there --timeout=5s',
      '(sleep 0.5; kubectl patch cm late -p \'{"data":{"a":"b"}}\' >/dev/null) & kubectl wait --for=jsonpath=\'{.data.a}\'=b cm/late --timeout=60s',
      'kubectl wait --for=condition=Ready pod -l no=such --timeout=1s',
      'kubectl delete pod web --now',
    ],
  },
  {
    name: 'nodes',
    files: {
      'web.yaml': deployment,
      'budget.yaml':
        '---\n{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}}',
    },
    steps: [
      'kubectl get nodes',
      'kubectl get nodes -o wide',
      'kubectl cordon node-a',
      'kubectl cordon node-a',
      'kubectl get nodes --field-selector=spec.unschedulable=true',
      "until_says unschedulable kubectl get node node-a -o jsonpath='{.spec.taints}'",
      'kubectl uncordon node-a',
      'kubectl uncordon node-a',
      'kubectl taint node node-a a=b:NoSchedule',
      'kubectl taint node node-a a=b:NoSchedule',
      'kubectl taint node node-a a=c:NoSchedule --overwrite',
      'kubectl get node node-a -o jsonpath={.spec.taints}',
      'kubectl taint node node-a a-',
      'kubectl taint node node-a a-',
      'kubectl taint node node-a a=b:Sideways',
      'kubectl label node node-a rack=1',
      'kubectl get nodes -L rack',
      'kubectl label node node-a rack-',
      'kubectl taint node nothing a=b:NoSchedule',
      {
        quiet:
          'kubectl create -f web.yaml; kubectl run alone --image=none; kubectl rollout status deploy web --timeout=60s; kubectl wait --for=condition=Ready pod/alone',
      },
      'kubectl drain node-a --timeout=60s',
      'kubectl drain node-a --dry-run=server --force',
      { quiet: 'kubectl uncordon node-b' },
      'kubectl drain node-a --force --timeout=60s | sort | sed "s/web-.* evicted/web evicted/" | uniq',
      'kubectl rollout status deploy web --timeout=60s | tail -1',
      'kubectl get pods -o jsonpath={.items[*].spec.nodeName}',
      'kubectl get node node-a',
      'kubectl create -f budget.yaml',
      "until_says 2 kubectl get pdb web -o jsonpath='{.status.currentHealthy}'",
      'kubectl get pdb web',
      'kubectl drain node-b --timeout=8s 2>&1 | grep -o "Cannot evict pod as.*" | sort -u',
      'kubectl delete pdb web',
      'kubectl delete deploy web',
      { quiet: 'kubectl uncordon node-a; kubectl cordon node-b' },
    ],
  },
  {
    name: 'kubelet',
    steps: [
      { quiet: 'kubectl run web --image=none; kubectl wait --for=condition=Ready pod/web' },
      'kubectl logs nothing',
      'kubectl exec nothing -- true',
      'kubectl cp nothing:/a b 2>&1 | tail -1',
      'kubectl attach nothing',
      'kubectl port-forward nothing 80',
      'kubectl logs web -c nothing',
      { run: 'kubectl exec web -c nothing -- true', differs: 'no kubelet serves exec' },
      'kubectl top pod',
      'kubectl delete pod web --now',
    ],
  },
]
