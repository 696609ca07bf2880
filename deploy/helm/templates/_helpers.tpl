{{- define "unipam.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "unipam.little" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
{{- end }}

{{- define "unipam.databaseSecret" -}}
{{- if .Values.register.database.url }}name: unipam-register-database, key: url
{{- else }}name: {{ .Values.register.database.secret.name }}, key: {{ .Values.register.database.secret.key }}
{{- end }}
{{- end }}
