# FRRouting, with the kernel's filters.

prepare_software() {
	mkdir /run/frr
	keep /etc/frr
	keep /etc/nftables.d
	mount -t tmpfs -o mode=755 tmpfs /var/log/frr
	chown -R frr:frr /etc/frr /run/frr /var/log/frr
	chmod -R u=rwX,g=rX,o= /etc/frr
}

operators() {
	case $1 in
	groups) echo --gid frrvty --groups frr ;;
	sudo) echo /usr/sbin/nft, /usr/bin/install, /usr/bin/mv ;;
	esac
}

start_software() {
	# The kernel's filters outlive the switch's processes, as those of a machine do not.
	nft flush ruleset
	for filters in /etc/nftables.d/*.nft; do
		[ ! -e "$filters" ] || nft -f "$filters"
	done
	# watchfrr belongs to it: it is who writes frr.conf for vtysh.
	/usr/lib/frr/frrinit.sh start
}

software_is_ready() { vtysh -c 'show version'; }
