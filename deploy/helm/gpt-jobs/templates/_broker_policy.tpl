{{/* The broker's policy on the job queue: `python -m gpt_worker.broker_policy`, and what it is told. */}}

{{/* It needs the management API, which an external broker may not have. */}}
{{- define "gpt-jobs.brokerPolicy.wanted" -}}
{{- if and .Values.brokerPolicy.enabled (or .Values.rabbitmq.enabled .Values.external.rabbitmq.management.existingSecret) -}}
yes
{{- end -}}
{{- end -}}

{{/*
The longest that the job queue may grow. Twice what gateways let wait: they refuse first, with a better answer, and
retries still find room. Takes "ctx" and "settings".
*/}}
{{- define "gpt-jobs.brokerPolicy.maxLength" -}}
{{- if .ctx.Values.brokerPolicy.maxLength -}}
{{- int64 .ctx.Values.brokerPolicy.maxLength -}}
{{- else if .settings.MAX_QUEUE_DEPTH -}}
{{- mul 2 (int64 .settings.MAX_QUEUE_DEPTH) -}}
{{- end -}}
{{- end -}}

{{- define "gpt-jobs.brokerPolicy.environment" -}}
{{ include "gpt-jobs.env.broker" .ctx }}
{{- if .ctx.Values.rabbitmq.enabled }}
- name: MANAGEMENT_URL
  value: {{ printf "http://%s:$(RABBITMQ_PASSWORD)@%s:15672" .ctx.Values.rabbitmq.auth.username (include "gpt-jobs.brokerHost" .ctx) | quote }}
{{- else }}
{{- $management := .ctx.Values.external.rabbitmq.management }}
{{ include "gpt-jobs.env.fromSecret" (dict "name" "MANAGEMENT_URL" "secret" (tpl $management.existingSecret .ctx) "key" $management.existingSecretKey) }}
{{- end }}
{{- range $name := list "AMQP_EXCHANGE" "AMQP_QUEUE" "BROKER_TIMEOUT_S" "JOB_TIMEOUT_S" }}
{{- with get $.settings $name }}
- name: {{ $name }}
  value: {{ include "gpt-jobs.asText" . }}
{{- end }}
{{- end }}
{{- with include "gpt-jobs.brokerPolicy.maxLength" . }}
- name: POLICY_MAX_LENGTH
  value: {{ . | quote }}
{{- end }}
- name: POLICY_DELIVERY_LIMIT
  value: {{ include "gpt-jobs.asText" .ctx.Values.brokerPolicy.deliveryLimit }}
- name: POLICY_ABSENCE_S
  value: {{ include "gpt-jobs.asText" .ctx.Values.brokerPolicy.absenceS }}
{{- end -}}
