{{/* What the schema cannot say: values that do not fit each other. Each message names the key that is to be changed. */}}

{{- define "gpt-jobs.checks" -}}
{{- range $server := list "rabbitmq" "redis" "mongodb" }}
{{- include "gpt-jobs.checks.server" (dict "ctx" $ "server" $server) }}
{{- end }}
{{- include "gpt-jobs.checks.names" . }}
{{- include "gpt-jobs.checks.dependencies" . }}
{{- range $component := list "gateway" "gpt-worker" "result-reader" }}
{{- $values := include "gpt-jobs.values" (dict "ctx" $ "component" $component) | fromJson }}
{{- include "gpt-jobs.checks.component" (dict "ctx" $ "component" $component "key" (include "gpt-jobs.valuesKey" (dict "component" $component)) "values" $values) }}
{{- end }}
{{- include "gpt-jobs.checks.broker" . }}
{{- include "gpt-jobs.checks.routes" . }}
{{- end -}}

{{/* Each server is either of this release or elsewhere. */}}
{{- define "gpt-jobs.checks.server" -}}
{{- $enabled := (index .ctx.Values .server).enabled }}
{{- $external := (index .ctx.Values.external .server).existingSecret }}
{{- if and (not $enabled) (not $external) }}
{{- fail (printf "external.%s.existingSecret: name the secret that holds the URL of your server, since %s.enabled is false" .server .server) }}
{{- else if and $enabled $external }}
{{- fail (printf "external.%s.existingSecret: it is not used while %s.enabled is true; set one or the other" .server .server) }}
{{- else if and $enabled (not (hasKey .ctx.Subcharts .server)) }}
{{- fail (printf "%s.enabled: the dependency is not in charts/; run `helm dependency build` first, or set it to false" .server) }}
{{- end }}
{{- end -}}

{{/* A release name that contains the names of two of them makes them both take it for their own. */}}
{{- define "gpt-jobs.checks.names" -}}
{{- $taken := dict }}
{{- range $server, $subchart := .Subcharts }}
{{- $name := include "common.names.fullname" $subchart | trim }}
{{- with get $taken $name }}
{{- fail (printf "%s.fullnameOverride: %s and %s would both be named %s; choose another release name, or set it" $server . $server $name) }}
{{- end }}
{{- $_ := set $taken $name $server }}
{{- end }}
{{- end -}}

{{/* What the dependencies can do and our pods could not follow. */}}
{{- define "gpt-jobs.checks.dependencies" -}}
{{- range $key := list "rabbitmq.auth.tls" "redis.tls" "mongodb.tls" "redis.sentinel" }}
{{- $path := splitList "." $key }}
{{- if and (index $.Values (first $path)).enabled (dig "enabled" false (include "gpt-jobs.checks.at" (dict "values" $.Values "path" $path) | fromJson)) }}
{{- fail (printf "%s.enabled: the services of this chart cannot use it; set it to false, or use such a server through external.%s" $key (first $path)) }}
{{- end }}
{{- end }}
{{- if .Values.mongodb.enabled }}
{{- if or (ne (len .Values.mongodb.auth.usernames) 1) (ne (len .Values.mongodb.auth.databases) 1) }}
{{- fail "mongodb.auth.usernames and mongodb.auth.databases: exactly one each, which the services use" }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The mapping at a path of keys, or an empty one. */}}
{{- define "gpt-jobs.checks.at" -}}
{{- $here := .values }}
{{- range .path }}
{{- $here = get ($here | default dict) . | default dict }}
{{- end }}
{{- toJson $here }}
{{- end -}}

{{- define "gpt-jobs.checks.component" -}}
{{- $auto := .values.autoscaling }}
{{- if and (eq $auto.mode "keda") (ne .component "gpt-worker") }}
{{- fail (printf "%s.autoscaling.mode: keda is for the worker, whose load is the queue; use hpa or none" .key) }}
{{- end }}
{{- if and (eq $auto.mode "keda") (not .ctx.Values.rabbitmq.enabled) (not .ctx.Values.external.rabbitmq.management.existingSecret) }}
{{- fail "external.rabbitmq.management.existingSecret: worker.autoscaling.mode keda needs the management API" }}
{{- end }}
{{- if and (ne $auto.mode "none") (gt (int64 $auto.minReplicas) (int64 $auto.maxReplicas)) }}
{{- fail (printf "%s.autoscaling.minReplicas: larger than maxReplicas" .key) }}
{{- end }}
{{- if and (eq $auto.mode "hpa") (lt (int64 $auto.minReplicas) 1) }}
{{- fail (printf "%s.autoscaling.minReplicas: at least 1 with hpa" .key) }}
{{- end }}
{{- $read := get (include "gpt-jobs.settingsReadBy" . | fromYaml) .component }}
{{- if and (eq .component "gpt-worker") (hasKey .ctx.Values.worker "service") }}
{{- fail "worker.service: workers serve nobody, and have no Service" }}
{{- end }}
{{- range $name, $_ := (index .ctx.Values .key).settings }}
{{- if not (has $name $read) }}
{{- fail (printf "%s.settings.%s: %s does not read it" $.key $name $.component) }}
{{- end }}
{{- end }}
{{- range .values.extraEnv }}
{{- if or (has .name $read) (has .name (list "AMQP_URL" "REDIS_URL" "MONGO_URL" "JOB_ID_KEYS" "API_KEYS" "OPENAI_API_KEY" "HTTP_PORT" "ADMIN_PORT")) }}
{{- fail (printf "%s.extraEnv: %s has its own place in the values, such as settings" $.key .name) }}
{{- end }}
{{- end }}
{{- if and (eq .component "gpt-worker") (not .ctx.Values.openai.existingSecret) (not .values.settings.OPENAI_BASE_URL) }}
{{- fail "openai.existingSecret: name the secret with the API keys, unless settings.OPENAI_BASE_URL is a server that needs none" }}
{{- end }}
{{- end -}}

{{- define "gpt-jobs.checks.broker" -}}
{{- $bound := .Values.brokerPolicy.maxLength }}
{{- if and $bound .Values.settings.MAX_QUEUE_DEPTH (lt (int64 $bound) (int64 .Values.settings.MAX_QUEUE_DEPTH)) }}
{{- fail "brokerPolicy.maxLength: smaller than settings.MAX_QUEUE_DEPTH, so that the broker would refuse what gateways still accept" }}
{{- end }}
{{- end -}}

{{- define "gpt-jobs.checks.routes" -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.host: needed with ingress.enabled" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.parentRefs: name the Gateway, since httpRoute.enabled is true" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.hostnames) }}
{{- fail "httpRoute.hostnames: needed with httpRoute.enabled" }}
{{- end }}
{{- end -}}
