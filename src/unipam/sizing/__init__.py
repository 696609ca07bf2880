"""The AKS sizing planner: from a described cluster to subnets, pod ranges, limits and places.

`document.read` makes a `Cluster` of a description, `plan.plan` plans it, `report.as_document` words the plan. The
rules are section by section those of the AKS sizing specification; numbers are in `limits`. Pure: no files, no clock.
"""
