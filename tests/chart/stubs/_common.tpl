{{/* What all three dependencies have in common: the name, shorter if the release name contains the chart's. */}}
{{- define "common.names.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* A Service, and the StatefulSet's pods behind it; takes (dict "ctx" $ "name" "ports" {…}). */}}
{{- define "stub.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .ctx.Release.Namespace }}
  labels:
    app.kubernetes.io/name: {{ .ctx.Chart.Name }}
    app.kubernetes.io/instance: {{ .ctx.Release.Name | quote }}
spec:
  selector:
    app.kubernetes.io/name: {{ .ctx.Chart.Name }}
    app.kubernetes.io/instance: {{ .ctx.Release.Name | quote }}
  ports:
    {{- range $name, $port := .ports }}
    - name: {{ $name }}
      port: {{ $port }}
    {{- end }}
{{- end -}}
