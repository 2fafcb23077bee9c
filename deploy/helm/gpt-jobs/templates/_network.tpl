{{/*
Who may talk with whom. Every pod of the release is closed both ways, and each policy opens what one component needs.
Egress rules are lists of items, so that they can be put one below the other; they take the root.
*/}}

{{/* A policy of a component; takes (dict "ctx" $ "component" … "ingress" "…" "egress" "…") with rules as YAML. */}}
{{- define "gpt-jobs.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "gpt-jobs.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "gpt-jobs.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with .ingress }}
  ingress:
    {{- . | trim | nindent 4 }}
  {{- end }}
  {{- with .egress }}
  egress:
    {{- . | trim | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Nobody else's pods: those of a component of this release. Takes (dict "ctx" "component"). */}}
{{- define "gpt-jobs.peer" -}}
- podSelector:
    matchLabels:
      {{- include "gpt-jobs.selectorLabels" . | nindent 6 }}
{{- end -}}

{{/* The public door: the ingress controller, the test pod, and whom values name. */}}
{{- define "gpt-jobs.ingress.public" -}}
- ports:
    - port: 8080
  from:
    {{- include "gpt-jobs.peer" (dict "ctx" . "component" "test") | nindent 4 }}
    {{- with concat .Values.networkPolicy.ingressControllers .Values.networkPolicy.clients }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "gpt-jobs.ingress.monitoring" -}}
{{- with .Values.networkPolicy.monitoring }}
- ports:
    - port: 9090
  from:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "gpt-jobs.egress.dns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
{{- end -}}

{{/* To a server: the pods of the dependency, or the addresses that values name. Takes "ctx", "server", "ports", "externalPorts". */}}
{{- define "gpt-jobs.egress.server" -}}
{{- if (index .ctx.Values .server).enabled -}}
- ports:
    {{- range .ports }}
    - port: {{ . }}
    {{- end }}
  to:
    - podSelector:
        matchLabels:
          {{- include "gpt-jobs.serverLabels" . | nindent 10 }}
{{- else -}}
- ports:
    {{- range .externalPorts }}
    - port: {{ int64 . }}
    {{- end }}
  to:
    {{- range (index .ctx.Values.external .server).cidrs }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
{{- end -}}
{{- end -}}

{{- define "gpt-jobs.serverLabels" -}}
app.kubernetes.io/name: {{ (index .ctx.Values .server).nameOverride | default .server }}
app.kubernetes.io/instance: {{ .ctx.Release.Name | quote }}
{{- end -}}

{{- define "gpt-jobs.egress.broker" -}}
{{ include "gpt-jobs.egress.server" (dict "ctx" . "server" "rabbitmq" "ports" (list 5672) "externalPorts" .Values.external.rabbitmq.ports) }}
{{- end -}}

{{- define "gpt-jobs.egress.management" -}}
{{ include "gpt-jobs.egress.server" (dict "ctx" . "server" "rabbitmq" "ports" (list 15672) "externalPorts" .Values.external.rabbitmq.managementPorts) }}
{{- end -}}

{{- define "gpt-jobs.egress.cache" -}}
{{ include "gpt-jobs.egress.server" (dict "ctx" . "server" "redis" "ports" (list 6379) "externalPorts" .Values.external.redis.ports) }}
{{- end -}}

{{- define "gpt-jobs.egress.store" -}}
{{ include "gpt-jobs.egress.server" (dict "ctx" . "server" "mongodb" "ports" (list 27017) "externalPorts" .Values.external.mongodb.ports) }}
{{- end -}}

{{/* The model's API. */}}
{{- define "gpt-jobs.egress.upstream" -}}
- ports:
    {{- range .Values.networkPolicy.upstream.ports }}
    - port: {{ int64 . }}
    {{- end }}
  to:
    {{- toYaml .Values.networkPolicy.upstream.to | nindent 4 }}
{{- end -}}

{{/* A server of this release: our pods that use it, its own kind, and Prometheus. Takes "ctx", "server", "metricsPort", "rules". */}}
{{- define "gpt-jobs.serverNetworkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "gpt-jobs.metadata" (dict "ctx" .ctx "component" (printf "to-%s" .server)) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "gpt-jobs.serverLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector:
            matchLabels:
              {{- include "gpt-jobs.serverLabels" . | nindent 14 }}
    {{- .rules | trim | nindent 4 }}
    {{- with .ctx.Values.networkPolicy.monitoring }}
    - ports:
        - port: {{ $.metricsPort }}
      from:
        {{- toYaml . | nindent 8 }}
    {{- end }}
  egress:
    {{- include "gpt-jobs.egress.dns" .ctx | nindent 4 }}
    - to:
        - podSelector:
            matchLabels:
              {{- include "gpt-jobs.serverLabels" . | nindent 14 }}
{{- end -}}

{{/* A port for some of our components. Takes "ctx", "port", "components". */}}
{{- define "gpt-jobs.ingress.fromOurs" }}
- ports:
    - port: {{ .port }}
  from:
    {{- range .components }}
    {{- include "gpt-jobs.peer" (dict "ctx" $.ctx "component" .) | nindent 4 }}
    {{- end }}
{{- end -}}
