{{/*
The environment of the services: which setting is read by which of them, and where each value comes from.
The names are those of docs/settings.md.
*/}}

{{/* Settings that values may hold, by reader. What is secret, and the ports, are not among them. */}}
{{- define "gpt-jobs.settingsReadBy" -}}
gateway: [LOG_LEVEL, HTTP_HOST, HTTP_SHORTCUT, REQUEST_LOG_ONE_IN, PREDICT_CLIENT, AMQP_EXCHANGE, AMQP_QUEUE, BROKER_TIMEOUT_S, BROKER_BATCHING,
  REDIS_PREFIX, CACHE_TIMEOUT_S, CACHE_BATCHING, RESULT_CACHE_TTL_S, STORE_TIMEOUT_S, STORE_BATCHING, JOB_TIMEOUT_S, JOB_DEADLINE_S,
  MAX_QUEUE_DEPTH, RECOVERY_GRACE_S, FOREIGN_IDS, RESULT_STORE_TTL_S,
  PLAYGROUND, PLAYGROUND_RESULTS_URL]
gpt-worker: [LOG_LEVEL, HTTP_HOST, AMQP_EXCHANGE, AMQP_QUEUE, BROKER_TIMEOUT_S, BROKER_BATCHING, REDIS_PREFIX, CACHE_TIMEOUT_S, CACHE_BATCHING,
  RESULT_CACHE_TTL_S, STORE_TIMEOUT_S, STORE_BATCHING, JOB_TIMEOUT_S, JOB_DEADLINE_S, OPENAI_BASE_URL, OPENAI_MODEL,
  OPENAI_KEY_REST_S, STREAMING, PREFETCH, MAX_ATTEMPTS, RETRY_DELAY_S, RETRY_MAX_DELAY_S, RESULT_STORE_TTL_S,
  CONVERSATION_TTL_S, CONTEXT_TOKENS]
result-reader: [LOG_LEVEL, HTTP_HOST, HTTP_SHORTCUT, REQUEST_LOG_ONE_IN, PREDICT_CLIENT, REDIS_PREFIX, CACHE_TIMEOUT_S, CACHE_BATCHING, RESULT_CACHE_TTL_S,
  STORE_TIMEOUT_S, STORE_BATCHING, JOB_DEADLINE_S, FOREIGN_IDS, CORS_ORIGINS]
{{- end -}}

{{/* A value as a service reads it: 1000000 and not 1e+06, true and not True. */}}
{{- define "gpt-jobs.asText" -}}
{{- if kindIs "string" . }}{{ . | quote }}{{ else }}{{ toJson . | quote }}{{ end -}}
{{- end -}}

{{/* The environment of a component; takes (dict "ctx" $ "component" "gateway" "values" {…}). */}}
{{- define "gpt-jobs.environment" -}}
{{- if ne .component "result-reader" }}
{{ include "gpt-jobs.env.broker" .ctx }}
{{- end }}
{{ include "gpt-jobs.env.cache" .ctx }}
{{ include "gpt-jobs.env.store" .ctx }}
{{- if eq .component "gpt-worker" }}
{{- include "gpt-jobs.env.openai" .ctx }}
{{- else }}
{{ include "gpt-jobs.env.clients" .ctx }}
- name: HTTP_PORT
  value: "8080"
{{- end }}
- name: ADMIN_PORT
  value: "9090"
{{- $settings := .values.settings }}
{{- range $name := get (include "gpt-jobs.settingsReadBy" . | fromYaml) .component }}
{{- $value := get $settings $name }}
{{- if and (hasKey $settings $name) (not (kindIs "invalid" $value)) }}
- name: {{ $name }}
  value: {{ include "gpt-jobs.asText" $value }}
{{- end }}
{{- end }}
{{- with .values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "gpt-jobs.env.openai" -}}
{{- with .Values.openai.existingSecret }}
- name: OPENAI_API_KEY
  valueFrom:
    secretKeyRef:
      name: {{ tpl . $ }}
      key: {{ $.Values.openai.existingSecretKey }}
{{- end }}
{{- end -}}

{{/* What the two public doors know of their clients. */}}
{{- define "gpt-jobs.env.clients" -}}
- name: JOB_ID_KEYS
  valueFrom:
    secretKeyRef:
      name: {{ include "gpt-jobs.jobIdKeysSecret" . }}
      key: {{ .Values.jobIdKeys.existingSecretKey }}
{{- with .Values.apiKeys.existingSecret }}
- name: API_KEYS
  valueFrom:
    secretKeyRef:
      name: {{ tpl . $ }}
      key: {{ $.Values.apiKeys.existingSecretKey }}
{{- end }}
{{- end -}}

{{- define "gpt-jobs.jobIdKeysSecret" -}}
{{- if .Values.jobIdKeys.existingSecret -}}
{{- tpl .Values.jobIdKeys.existingSecret . -}}
{{- else -}}
{{- printf "%s-job-id-keys" (include "gpt-jobs.fullname" .) -}}
{{- end -}}
{{- end -}}
