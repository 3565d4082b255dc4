{{/* The chart's name, in labels and in the names of objects. */}}
{{- define "gracewatch.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The DaemonSet's name, and the beginning of all others: 40 characters leave room for the longest ending. */}}
{{- define "gracewatch.fullname" -}}
{{- $name := include "gracewatch.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* The labels by which a release's pods are known. They cannot change as long as the DaemonSet is there. */}}
{{- define "gracewatch.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gracewatch.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The labels of an object: (list $ LABELS-OF-ITS-OWN). */}}
{{- define "gracewatch.labels" -}}
{{- $ := index . 0 }}
{{- $chart := dict
  "helm.sh/chart" (printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" $.Chart.AppVersion
  "app.kubernetes.io/managed-by" $.Release.Service }}
{{- $selector := include "gracewatch.selectorLabels" $ | fromYaml }}
{{- toYaml (mergeOverwrite (dict) $.Values.commonLabels $selector $chart (index . 1)) }}
{{- end }}

{{- define "gracewatch.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "gracewatch.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "gracewatch.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The ClusterRoleBinding of a ClusterRole: (list $ NAME-ENDING). */}}
{{- define "gracewatch.binding" -}}
{{- $ := index . 0 }}
{{- $role := printf "%s%s" (include "gracewatch.fullname" $) (index . 1) -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $role }}
  labels:
    {{- include "gracewatch.labels" (list $ dict) | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $role }}
subjects:
  - kind: ServiceAccount
    name: {{ include "gracewatch.serviceAccountName" $ }}
    namespace: {{ $.Release.Namespace }}
{{- end }}

{{/* Of each pod's spec, what does not depend on what runs in it. */}}
{{- define "gracewatch.pod" -}}
serviceAccountName: {{ include "gracewatch.serviceAccountName" . }}
automountServiceAccountToken: true
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
# The kernel reports pids of the node, and the agent looks them up in /proc.
hostPID: true
# Variables of a Service called gracewatch would look like options of the agent.
enableServiceLinks: false
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
# It stops at once: open terminations are given out as they stand.
terminationGracePeriodSeconds: 10
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
volumes:
  - name: cgroup
    hostPath:
      path: /sys/fs/cgroup
      type: Directory
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* The container of each pod: image, environment, privileges and mounts. */}}
{{- define "gracewatch.container" -}}
name: gracewatch
image: {{ include "gracewatch.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  # The pods to watch.
  - name: GRACEWATCH_NODE_NAME
    valueFrom:
      fieldRef:
        fieldPath: spec.nodeName
  # For Prometheus and the kubelet's probes. The default is the loopback address.
  - name: GRACEWATCH_LISTEN
    value: {{ printf "%s:%v" .Values.listen.address .Values.listen.port | quote }}
  {{- if not .Values.kubernetes.watchEvents }}
  - name: GRACEWATCH_NO_WATCH_KUBELET_EVENTS
    value: "true"
  {{- end }}
  {{- if not .Values.kubernetes.watchEndpointSlices }}
  - name: GRACEWATCH_NO_WATCH_ENDPOINT_SLICES
    value: "true"
  {{- end }}
  {{- if not .Values.kubernetes.reportEvents }}
  - name: GRACEWATCH_NO_KUBERNETES_EVENTS
    value: "true"
  {{- end }}
  {{- range .Values.extraEnv }}
  {{- include "gracewatch.refuseOwnEnv" . }}
  - {{- toYaml . | nindent 4 }}
  {{- end }}
securityContext:
  {{- include "gracewatch.securityContext" . | nindent 2 }}
volumeMounts:
  # Which cgroups there are. A container's own mount shows only its own.
  - name: cgroup
    mountPath: /sys/fs/cgroup
    readOnly: true
    {{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}
    # Where v1 hierarchies are beside it, the v2 tree is a mount of its own below this one.
    recursiveReadOnly: IfPossible
    {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* The container's security context, with the capabilities of the two switches. */}}
{{- define "gracewatch.securityContext" -}}
{{- $context := deepCopy .Values.securityContext }}
{{- $add := $context.capabilities.add }}
{{- if .Values.oldKernels }}
{{- $add = append $add "SYS_RESOURCE" }}
{{- end }}
{{- if .Values.hiddenProcesses }}
{{- $add = append $add "SYS_PTRACE" }}
{{- end }}
{{- $_ := set $context.capabilities "add" (uniq $add) }}
{{- toYaml $context }}
{{- end }}

{{/* Fails if a variable has a value of its own: which of the two counts, nobody could tell. */}}
{{- define "gracewatch.refuseOwnEnv" -}}
{{- $own := dict
  "GRACEWATCH_LISTEN" "listen.address and listen.port"
  "GRACEWATCH_NODE_NAME" "nothing: it is the name of the pod's node"
  "GRACEWATCH_NO_WATCH_KUBELET_EVENTS" "kubernetes.watchEvents"
  "GRACEWATCH_NO_WATCH_ENDPOINT_SLICES" "kubernetes.watchEndpointSlices"
  "GRACEWATCH_NO_KUBERNETES_EVENTS" "kubernetes.reportEvents" }}
{{- if hasKey $own .name }}
{{- fail (printf "extraEnv cannot set %s; it is set by %s" .name (get $own .name)) }}
{{- end }}
{{- end }}

{{/* Of a monitor's spec, all but the endpoints. */}}
{{- define "gracewatch.monitor" -}}
# The job is called gracewatch, whatever the release is called.
jobLabel: app.kubernetes.io/name
{{- with .Values.scrape }}
{{- $protocols := .protocols }}
{{- if .nativeHistograms }}
{{- $protocols = uniq (prepend $protocols "PrometheusProto") }}
{{- end }}
{{- with $protocols }}
scrapeProtocols:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .nativeHistograms }}
scrapeNativeHistograms: true
scrapeClassicHistograms: true
{{- end }}
{{- with .sampleLimit }}
sampleLimit: {{ . }}
{{- end }}
{{- end }}
namespaceSelector:
  matchNames: [{{ .Release.Namespace }}]
selector:
  matchLabels:
    {{- include "gracewatch.selectorLabels" . | nindent 4 }}
{{- end }}

{{/* A monitor's one endpoint. */}}
{{- define "gracewatch.endpoint" -}}
port: metrics
path: /metrics
# namespace, pod and container of a series are those of the container that was terminated, and not the agent's.
honorLabels: true
{{- with .Values.scrape }}
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .timeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with .relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
