"""What operators ask of Calico's IPAM, as calicoctl answers it (spec §3.1 to §3.4), and what it cannot be asked."""
