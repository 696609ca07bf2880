# shellcheck shell=bash
# The first hour with a register, from the wheel.
. /srv/goods/person.sh
mkdir -p /home/user && cd /home/user || exit 1
pip="/home/user/unipam/bin/pip install -q --no-index --find-links /srv/goods/wheels"

title "Install the version before from its wheel"
type "python3 -m venv unipam"
type "$pip \$(ls /srv/goods/before/unipam-*.whl)[server]"
type "export PATH=/home/user/unipam/bin:\$PATH"
PATH=/home/user/unipam/bin:$PATH
type "unipam --version"

title "Start, and import a plan"
serve server.log "unipam server --database register.db --admin-token-file admin-token"
export UNIPAM_SERVER=http://127.0.0.1:8080 UNIPAM_TOKEN_FILE=admin-token
type "export UNIPAM_SERVER=$UNIPAM_SERVER UNIPAM_TOKEN_FILE=$UNIPAM_TOKEN_FILE"
cat > plan.csv <<'CSV'
kind,path,name,prefix,desc,id,status,created_by
space,,prod,,production,,,
block,prod,west,10.0.0.0/12,West Europe,,,
block,prod/west,west-aks,10.0.0.0/16,clusters,,,
external,prod/west,dc,10.8.0.0/16,data centre,,,
CSV
type "cat plan.csv"
type "unipam register import plan.csv --format csv --dry-run"
type "unipam register import plan.csv --format csv --reason 'the old spreadsheet'"
sees "4 created"
type "unipam plan tree"

title "Reserve: by command"
type "unipam reservation add prod west-aks --size 22 --desc shop --dry-run"
type "unipam reservation add prod west-aks --size 22 --desc shop"
sees 10.0.0.0/22
refused "unipam reservation add prod west-aks --size 8"
refused "unipam block add prod other 10.8.0.0/13"
sees overlaps

title "Reserve: by unipam's API, twice with one key"
ask() { curl -sS -H "Authorization: Bearer $(cat admin-token)" -H 'Content-Type: application/json' "$@"; }
type "ask() { curl -sS -H \"Authorization: Bearer \$(cat admin-token)\" -H 'Content-Type: application/json' \"\$@\"; }"
type "ask -H 'Idempotency-Key: build-17' $UNIPAM_SERVER/api/v1/spaces/prod/reservations -d '{\"blocks\": [\"west-aks\"], \"size\": 23}' | tee first"
sees 10.0.4.0/23
type "ask -H 'Idempotency-Key: build-17' $UNIPAM_SERVER/api/v1/spaces/prod/reservations -d '{\"blocks\": [\"west-aks\"], \"size\": 23}' | cmp - first && echo the same answer"

title "Reserve: as Terraform's provider for Azure IPAM does"
type "ask $UNIPAM_SERVER/api/spaces/prod/blocks/west-aks/reservations -d '{\"size\": 24, \"desc\": \"terraform\"}' | tee made"
sees X-IPAM-RES-ID
id=$(grep -o '"id":"[^"]*"' made | cut -d '"' -f 4)
type "ask $UNIPAM_SERVER/api/spaces/prod/blocks/west-aks/reservations/$id | cmp - made && echo a second plan finds no difference"
type "ask -X DELETE $UNIPAM_SERVER/api/spaces/prod/blocks/west-aks/reservations -d '[\"$id\"]' -w '%{http_code}'"
sees 204

title "Back up, lose something, restore"
type "unipam register backup --database register.db copy.db"
type "unipam plan tree > before.txt; cat before.txt"
type "unipam external remove prod west dc"
type "unipam plan tree"
end
type "cp copy.db register.db; rm -f register.db-wal register.db-shm"
serve server.log "unipam server --database register.db"
type "unipam plan tree | cmp - before.txt && echo everything is back"

title "Upgrade to this version"
end
type "$pip --upgrade \$(ls /srv/goods/now/unipam-*.whl)[server]"
type "unipam --version"
type "unipam register migrate --database register.db"
serve server.log "unipam server --database register.db"
type "unipam plan tree"
sees 10.0.0.0/22
sees dc
type "unipam reservation add prod west-aks --size 24 --desc 'after the upgrade'"
type "unipam plan history --limit 3"
refused "unipam plan findings"
sees "nothing was compared"
end
title "The hour is over"
