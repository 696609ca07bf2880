# shellcheck shell=bash
# The first hour on a node. systemd is not there: the unit's own command line is typed instead.
. /srv/goods/person.sh
cd /root || exit 1

title "A kubenet node, with two pods of the original host-local"
type "mkdir -p /opt/cni/bin; cp /usr/lib/cni/bridge /usr/lib/cni/host-local /opt/cni/bin/"
type "cp /srv/goods/pod /srv/goods/kubenet.conf .; chmod +x pod"
type "./pod add web-0; ./pod add web-1"
sees 10.244.2.3/29

title "Install the version before, and start the agent"
type "apt-get install -y /srv/goods/before/unipam_*.deb"
type "unipam --version"
agent=$(sed -n 's/^ExecStart=//p' /lib/systemd/system/unipam-agent.service)
serve agent.log "$agent --sweep 1"
type "unipam status"

title "Adopt it"
type "unipam cni install --name host-local --dry-run"
type "unipam adopt host-local --dry-run"
type "unipam cni install --name host-local"
type "unipam adopt host-local"
type "./pod add web-2"
type "unipam lease list"
sees 10.244.2.2
sees shop/web-2
type "ip netns exec web-2 ping -q -c 1 -w 5 10.244.2.2 | grep received"
sees "1 received"

title "Upgrade to this version (systemd would restart the agent)"
type "sha256sum < /opt/cni/bin/host-local"
type "apt-get install -y /srv/goods/now/unipam_*.deb"
type "sha256sum < /opt/cni/bin/host-local"
type "unipam --version"
end
type "unipam cni install --name host-local --dry-run"
sees unchanged
type "./pod add web-3"
sees 10.244.2.5
serve agent.log "$agent --sweep 1"
type "unipam lease list"
sees shop/web-2
sees shop/web-3

title "Break something: the pool is full"
type "./pod add db-0"
refused "./pod add db-1"
sees "no IP addresses available"
type "unipam status"
sees FULL
type "unipam explain shop/db-1"
sees refused

title "Break something: a pod dies, and nobody calls DEL"
type "./pod crash web-3"
type "until unipam lease history shop/web-3 | grep release; do sleep 0.2; done"
sees "is gone"
type "./pod add db-1"

title "Break something: the agent is gone, and anybody may write the ledger's directory"
end
refused "unipam status"
type "./pod del db-1"
type "./pod add db-2"
type "chmod 777 /var/lib/cni/networks; ./pod del db-2 || true"
refused "./pod add db-3"
sees chmod
type "chmod 755 /var/lib/cni/networks"
serve agent.log "$agent --sweep 1"
type "until unipam lease history shop/db-2 | grep release; do sleep 0.2; done"
type "./pod add db-3"

title "Roll back"
type "unipam cni uninstall --give-back --dry-run"
type "unipam cni uninstall --give-back"
end
type "cmp /usr/lib/cni/host-local /opt/cni/bin/host-local"
type "ls /var/lib/cni/networks/kubenet"
sees 10.244.2.4
type "./pod del web-0; ./pod add web-4"
type "apt-get purge -y unipam"
type "find / -xdev -path /proc -prune -o -name '*unipam*' -print | grep -v -e ^/srv/goods -e ^/var/lib/apt -e ^/var/log -e ^/root || echo nothing is left"
sees "nothing is left"
