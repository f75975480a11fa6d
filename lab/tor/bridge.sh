# Open vSwitch, with gateways of VLANs that the kernel routes between.
#
# SWITCH_GATEWAYS   VLAN=ADDRESS[,ADDRESS…] of each gateway

prepare_software() {
	mkdir /run/openvswitch
	keep /etc/openvswitch
	[ -e /etc/openvswitch/conf.db ] || ovsdb-tool create /etc/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
}

operators() {
	case $1 in
	groups) echo --gid nogroup ;;
	sudo) echo /usr/bin/ovs-vsctl ;;
	esac
}

start_software() {
	ovsdb-server /etc/openvswitch/conf.db --remote=punix:/run/openvswitch/db.sock --pidfile --unixctl=/run/openvswitch/ovsdb.ctl &
	until ovs-vsctl --no-wait --timeout=1 init; do sleep 0.05; done 2>/dev/null
	# Without the kernel's module: packets are switched by the program itself.
	ovs-vswitchd --disable-system --pidfile --unixctl=/run/openvswitch/vswitchd.ctl &
	ovs-vsctl --timeout=20 --may-exist add-br br0 -- set Bridge br0 datapath_type=netdev \
		-- --may-exist add-br ferrodur-shut -- set Bridge ferrodur-shut datapath_type=netdev fail_mode=secure

	local port gateway vlan address
	for port in $SWITCH_PORTS; do
		# A port is new where Ferrodur has what is shut: as it comes it would carry all VLANs.
		ovs-vsctl iface-to-br "$port" >/dev/null 2>&1 ||
			ovs-vsctl --timeout=20 add-port ferrodur-shut "$port" -- set Port "$port" external_ids:ferrodur-bridge=br0
		# What comes from a port is Open vSwitch's, which takes it before this hook, and not the
		# kernel's: that would answer there for the gateways, and route past all VLANs.
		nft add table netdev ports
		nft add chain netdev ports "$port" "{ type filter hook ingress device $port priority 0 ; policy drop ; }"
	done
	for gateway in $SWITCH_GATEWAYS; do
		vlan=${gateway%%=*}
		ovs-vsctl --timeout=20 --may-exist add-port br0 "vlan$vlan" "tag=$vlan" -- set Interface "vlan$vlan" type=internal
		for address in $(tr , ' ' <<<"${gateway#*=}"); do
			ip address replace "$address" dev "vlan$vlan" nodad
		done
		ip link set "vlan$vlan" up
	done
}

software_is_ready() { ovs-vsctl --timeout=1 show; }
