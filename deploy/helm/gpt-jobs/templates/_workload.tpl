{{/* The objects around the pods of a service; each takes (dict "ctx" $ "component" "gateway"). */}}

{{/* Without replicas the number is nobody's: `kubectl scale` and autoscalers keep theirs through an upgrade. */}}
{{- define "gpt-jobs.deployment" -}}
{{- $values := include "gpt-jobs.values" . | fromJson -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "gpt-jobs.metadata" . | nindent 2 }}
spec:
  {{- if and (eq $values.autoscaling.mode "none") (not (kindIs "invalid" $values.replicas)) }}
  replicas: {{ int64 $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  selector:
    matchLabels:
      {{- include "gpt-jobs.selectorLabels" . | nindent 6 }}
  template:
    {{- include "gpt-jobs.pod" . | nindent 4 }}
{{- end -}}

{{- define "gpt-jobs.service" -}}
{{- $values := include "gpt-jobs.values" . | fromJson -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "gpt-jobs.metadata" . | nindent 2 }}
  {{- with $values.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $values.service.type }}
  selector:
    {{- include "gpt-jobs.selectorLabels" . | nindent 4 }}
  ports:
    - name: http
      port: 80
      targetPort: http
      appProtocol: http
{{- end -}}

{{- define "gpt-jobs.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "gpt-jobs.metadata" . | nindent 2 }}
automountServiceAccountToken: false
{{- end -}}

{{/* At most one pod at a time is taken away on purpose, and one that is not ready never holds up a node. */}}
{{- define "gpt-jobs.disruptionBudget" -}}
{{- $values := include "gpt-jobs.values" . | fromJson -}}
{{- if $values.disruptionBudget.enabled -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "gpt-jobs.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ $values.disruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "gpt-jobs.selectorLabels" . | nindent 6 }}
{{- end -}}
{{- end -}}
