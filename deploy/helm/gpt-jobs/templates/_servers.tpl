{{/*
How our pods reach RabbitMQ, Redis and MongoDB. The names are asked of the dependency, never put together here: a
release name that contains the dependency's has shorter ones.
`$(NAME)` is put in by the kubelet, as it is: passwords must be of letters and digits.
*/}}

{{/* An environment variable from a secret; takes (dict "name" "secret" "key"). */}}
{{- define "gpt-jobs.env.fromSecret" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end -}}

{{- define "gpt-jobs.env.broker" -}}
{{- if .Values.rabbitmq.enabled }}
{{- with .Subcharts.rabbitmq }}
{{- include "gpt-jobs.env.fromSecret" (dict "name" "RABBITMQ_PASSWORD" "secret" (include "rabbitmq.secretPasswordName" . | trim) "key" (include "rabbitmq.secretPasswordKey" . | trim)) }}
{{- end }}
- name: AMQP_URL
  value: {{ printf "amqp://%s:$(RABBITMQ_PASSWORD)@%s:5672/" .Values.rabbitmq.auth.username (include "gpt-jobs.brokerHost" .) | quote }}
{{- else }}
{{- $external := .Values.external.rabbitmq }}
{{- include "gpt-jobs.env.fromSecret" (dict "name" "AMQP_URL" "secret" (tpl $external.existingSecret .) "key" $external.existingSecretKey) }}
{{- end }}
{{- end -}}

{{- define "gpt-jobs.brokerHost" -}}
{{- with .Subcharts.rabbitmq }}
{{- printf "%s.%s.svc" (include "common.names.fullname" . | trim) .Release.Namespace }}
{{- end }}
{{- end -}}

{{- define "gpt-jobs.env.cache" -}}
{{- if .Values.redis.enabled }}
{{- with .Subcharts.redis }}
{{- $host := printf "%s-master.%s.svc" (include "common.names.fullname" . | trim) .Release.Namespace }}
{{- if .Values.auth.enabled }}
{{- include "gpt-jobs.env.fromSecret" (dict "name" "REDIS_PASSWORD" "secret" (include "redis.secretName" . | trim) "key" (include "redis.secretPasswordKey" . | trim)) }}
- name: REDIS_URL
  value: {{ printf "redis://:$(REDIS_PASSWORD)@%s:6379/0" $host | quote }}
{{- else }}
- name: REDIS_URL
  value: {{ printf "redis://%s:6379/0" $host | quote }}
{{- end }}
{{- end }}
{{- else }}
{{- $external := .Values.external.redis }}
{{- include "gpt-jobs.env.fromSecret" (dict "name" "REDIS_URL" "secret" (tpl $external.existingSecret .) "key" $external.existingSecretKey) }}
{{- end }}
{{- end -}}

{{- define "gpt-jobs.env.store" -}}
{{- if .Values.mongodb.enabled }}
{{- with .Subcharts.mongodb }}
{{- include "gpt-jobs.env.fromSecret" (dict "name" "MONGO_PASSWORD" "secret" (include "mongodb.secretName" . | trim) "key" "mongodb-passwords") }}
- name: MONGO_URL
  value: {{ include "gpt-jobs.mongoUrl" . | quote }}
{{- end }}
{{- else }}
{{- $external := .Values.external.mongodb }}
{{- include "gpt-jobs.env.fromSecret" (dict "name" "MONGO_URL" "secret" (tpl $external.existingSecret .) "key" $external.existingSecretKey) }}
{{- end }}
{{- end -}}

{{/* Takes the dependency. A replica set has no Service of its own: its members are named one by one. */}}
{{- define "gpt-jobs.mongoUrl" -}}
{{- $service := include "mongodb.service.nameOverride" . | trim -}}
{{- $user := first .Values.auth.usernames -}}
{{- $database := first .Values.auth.databases -}}
{{- if eq .Values.architecture "replicaset" -}}
{{- $domain := printf "%s.%s.svc.%s" $service .Release.Namespace (.Values.clusterDomain | default "cluster.local") -}}
{{- $hosts := list -}}
{{- range $i := until (int .Values.replicaCount) -}}
{{- $hosts = append $hosts (printf "%s-%d.%s:27017" (include "mongodb.fullname" $ | trim) $i $domain) -}}
{{- end -}}
{{- printf "mongodb://%s:$(MONGO_PASSWORD)@%s/%s?authSource=%s&replicaSet=%s" $user (join "," $hosts) $database $database (.Values.replicaSetName | default "rs0") -}}
{{- else -}}
{{- printf "mongodb://%s:$(MONGO_PASSWORD)@%s.%s.svc:27017/%s?authSource=%s" $user $service .Release.Namespace $database $database -}}
{{- end -}}
{{- end -}}
