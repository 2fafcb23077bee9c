{{/*
Who says how many pods there are; takes (dict "ctx" $ "component" "gateway"). Only the worker has keda: its load is
the length of the queue, while its CPU waits for the model.
*/}}

{{- define "gpt-jobs.autoscaling" -}}
{{- $values := include "gpt-jobs.values" . | fromJson -}}
{{- $with := merge (dict "values" $values) . -}}
{{- if eq $values.autoscaling.mode "hpa" -}}
{{ include "gpt-jobs.horizontalPodAutoscaler" $with }}
{{- else if eq $values.autoscaling.mode "keda" -}}
{{ include "gpt-jobs.scaledObject" $with }}
---
{{ include "gpt-jobs.triggerAuthentication" $with }}
{{- end -}}
{{- end -}}

{{- define "gpt-jobs.horizontalPodAutoscaler" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "gpt-jobs.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "gpt-jobs.name" . }}
  minReplicas: {{ int64 .values.autoscaling.minReplicas | max 1 }}
  maxReplicas: {{ int64 .values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ int64 .values.autoscaling.cpuPercent }}
  behavior:
    {{- include "gpt-jobs.scaleDown" . | nindent 4 }}
{{- end -}}

{{/* Slower than a pod takes to stop, or pods that still work are counted as gone. 3600 is all that Kubernetes takes. */}}
{{- define "gpt-jobs.scaleDown" -}}
{{- $grace := include "gpt-jobs.graceSeconds" . | int64 -}}
scaleDown:
  stabilizationWindowSeconds: {{ min 3600 (max 300 $grace) }}
  policies:
    - type: Percent
      value: 25
      periodSeconds: 60
{{- end -}}

{{- define "gpt-jobs.scaledObject" -}}
{{- $keda := .values.autoscaling.keda -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "gpt-jobs.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    name: {{ include "gpt-jobs.name" . }}
  pollingInterval: {{ int64 $keda.pollingInterval }}
  # From the last message to no pod at all, if minReplicas is 0.
  cooldownPeriod: {{ add (include "gpt-jobs.graceSeconds" . | int64) 60 }}
  minReplicaCount: {{ int64 .values.autoscaling.minReplicas }}
  maxReplicaCount: {{ int64 .values.autoscaling.maxReplicas }}
  fallback:
    failureThreshold: 4
    replicas: {{ max 1 (int64 .values.autoscaling.minReplicas) }}
    behavior: currentReplicasIfHigher
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- include "gpt-jobs.scaleDown" . | nindent 8 }}
  triggers:
    - type: rabbitmq
      metadata:
        # Not amqp: that counts only what no worker has yet, and would take workers away while they work.
        protocol: http
        {{- if .ctx.Values.rabbitmq.enabled }}
        host: {{ printf "http://%s:15672/" (include "gpt-jobs.brokerHost" .ctx) | quote }}
        vhostName: /
        {{- else }}
        vhostName: {{ .ctx.Values.external.rabbitmq.vhost | quote }}
        {{- end }}
        queueName: {{ .values.settings.AMQP_QUEUE | default "request-queue" | quote }}
        mode: QueueLength
        value: {{ include "gpt-jobs.asText" ($keda.messagesPerReplica | default (.values.settings.PREFETCH | default 10)) }}
        activationValue: "0"
      authenticationRef:
        name: {{ include "gpt-jobs.name" . }}
{{- end -}}

{{- define "gpt-jobs.triggerAuthentication" -}}
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  {{- include "gpt-jobs.metadata" . | nindent 2 }}
spec:
  secretTargetRef:
    {{- if .ctx.Values.rabbitmq.enabled }}
    {{- with .ctx.Subcharts.rabbitmq }}
    {{- $secret := include "rabbitmq.secretPasswordName" . | trim }}
    - parameter: username
      name: {{ $secret }}
      key: rabbitmq-username
    - parameter: password
      name: {{ $secret }}
      key: {{ include "rabbitmq.secretPasswordKey" . | trim }}
    {{- end }}
    {{- else }}
    {{- $management := .ctx.Values.external.rabbitmq.management }}
    - parameter: host
      name: {{ tpl $management.existingSecret .ctx }}
      key: {{ $management.existingSecretKey }}
    {{- end }}
{{- end -}}
