{{/* The one pod template of the three services, and the parts of it that the Jobs' pods share. */}}

{{/* Takes (dict "ctx" $ "component" "gateway"). */}}
{{- define "gpt-jobs.pod" -}}
{{- $values := include "gpt-jobs.values" . | fromJson -}}
{{- $with := merge (dict "values" $values) . -}}
metadata:
  labels:
    {{- include "gpt-jobs.labels" . | nindent 4 }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "gpt-jobs.pod.identity" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ include "gpt-jobs.graceSeconds" $with }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.spreadOver }}
  topologySpreadConstraints:
    {{- range . }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "gpt-jobs.selectorLabels" $with | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  containers:
    - name: {{ .component }}
      {{- include "gpt-jobs.container" $with | nindent 6 }}
  volumes:
    {{- include "gpt-jobs.pod.volumes" . | nindent 4 }}
{{- end -}}

{{- define "gpt-jobs.container" -}}
image: {{ include "gpt-jobs.image" (dict "ctx" .ctx "image" .values.image) | quote }}
imagePullPolicy: {{ .values.image.pullPolicy }}
ports:
  {{- if ne .component "gpt-worker" }}
  - name: http
    containerPort: 8080
  {{- end }}
  - name: admin
    containerPort: 9090
env:
  {{- include "gpt-jobs.environment" . | trim | nindent 2 }}
{{- range $probe, $path := dict "startupProbe" "/healthz" "livenessProbe" "/healthz" "readinessProbe" "/readyz" }}
{{ $probe }}:
  httpGet:
    path: {{ $path }}
    port: admin
  {{- toYaml (index $.values $probe) | nindent 2 }}
{{- end }}
{{- with .values.preStopSeconds }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ . }}
{{- end }}
resources:
  {{- toYaml .values.resources | nindent 2 }}
{{- include "gpt-jobs.container.locked" . }}
{{- end -}}

{{/* What a container may not do, and where it may write all the same. */}}
{{- define "gpt-jobs.container.locked" }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: tmp
    mountPath: /tmp
{{- end -}}

{{- define "gpt-jobs.pod.identity" -}}
serviceAccountName: {{ include "gpt-jobs.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .ctx.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "gpt-jobs.pod.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- end -}}

{{/*
How long a pod that is told to stop may take: what the service itself takes for what is in hand (docs/settings.md,
"One number"; SHUTDOWN_S of the result-reader; longest_answer_s of the gateway), and some. Takes "component" and
"values".
*/}}
{{- define "gpt-jobs.graceSeconds" -}}
{{- $settings := .values.settings -}}
{{- $seconds := addf $settings.JOB_TIMEOUT_S 30 -}}
{{- if eq .component "gateway" -}}
{{- $seconds = addf $settings.BROKER_TIMEOUT_S (mulf 2 $settings.CACHE_TIMEOUT_S) 5 15 -}}
{{- else if eq .component "result-reader" -}}
{{- $seconds = addf 10 15 -}}
{{- end -}}
{{- addf $seconds .values.preStopSeconds | ceil | int64 -}}
{{- end -}}
