{{- /* For each of `controller.controllers`: its part of the command line, and what it may do in the cluster. */ -}}

{{- define "unipam.controller.cilium.command" -}}
{{- $cilium := .Values.controller.cilium -}}
- --cilium
- --azure-subscription-id
- {{ required "controller.cilium.subscription: the machines' subscription" $cilium.subscription | quote }}
- --azure-resource-group
- {{ required "controller.cilium.resourceGroup: the machines' resource group (MC_...)" $cilium.resourceGroup | quote }}
{{- if $cilium.release }}
- --azure-release-excess-ips
{{- end }}
{{- end }}

{{- define "unipam.controller.cilium.rules" -}}
- apiGroups: [cilium.io]
  resources: [ciliumnodes]
  verbs: [list, watch, patch]
- apiGroups: [cilium.io]
  resources: [ciliumnodes/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [cilium.io]
  resources: [ciliumendpoints]
  verbs: [list]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{- define "unipam.controller.kubenet.command" -}}
{{- $kubenet := .Values.controller.kubenet -}}
- --kubenet
- --cluster-cidr
- {{ required "controller.kubenet.clusterCidr: the pods' ranges" $kubenet.clusterCidr | quote }}
- --service-cluster-ip-range
- {{ required "controller.kubenet.serviceClusterIpRange: the services' ranges" $kubenet.serviceClusterIpRange | quote }}
- --route-table
- {{ required "controller.kubenet.routeTable: the route table's resource id" $kubenet.routeTable | quote }}
- --node-subnet
- {{ required "controller.kubenet.nodeSubnet: the resource id of the nodes' subnet" $kubenet.nodeSubnet | quote }}
{{- end }}

{{- define "unipam.controller.kubenet.rules" -}}
- apiGroups: [""]
  resources: [nodes]
  verbs: [get, list, watch, patch]
- apiGroups: [""]
  resources: [nodes/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}
