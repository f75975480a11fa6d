package rack

import (
	"errors"
	"net/netip"

	"ferrodur/lab/machine"
	"ferrodur/lab/process"
)

// Status is what there is of a rack right now.
type Status struct {
	Dir    string `json:"dir"`
	Prefix string `json:"prefix"`
	// Switches are the router, and the switch of VLANs if there is one.
	Switches []SwitchStatus `json:"switches"`
	Servers  []ServerStatus `json:"servers"`
	Relays   []RelayStatus  `json:"relays,omitempty"`
}

// SwitchStatus is the state of a switch.
type SwitchStatus struct {
	Name      string         `json:"name"`
	Namespace string         `json:"namespace"`
	Address   netip.AddrPort `json:"address"`
	Running   bool           `json:"running"`
}

// ServerStatus is the state of one server and its BMC. PowerOns counts since the server
// was defined.
type ServerStatus struct {
	Name       string             `json:"name"`
	Switch     string             `json:"switch"`
	Port       string             `json:"port"`
	MAC        string             `json:"mac"`
	Firmware   machine.Firmware   `json:"firmware"`
	BMC        netip.AddrPort     `json:"bmc"`
	BMCRunning bool               `json:"bmc_running"`
	Powered    bool               `json:"powered"`
	PowerOns   int                `json:"power_ons"`
	BootDevice machine.BootDevice `json:"boot_device"`
	Console    string             `json:"console"`
}

// RelayStatus is the state of one relay.
type RelayStatus struct {
	Port    uint16 `json:"port"`
	Running bool   `json:"running"`
}

// Inspect looks at the rack of a state folder. ErrNoRack if the folder holds none.
func Inspect(dir string) (Status, error) {
	config, err := read(dir)
	if err != nil {
		return Status{}, err
	}
	status := Status{Dir: config.Dir, Prefix: config.Prefix, Switches: config.inspectSwitches()}
	for n := range config.numbers() {
		server, err := config.inspectServer(n)
		if err != nil {
			return Status{}, err
		}
		status.Servers = append(status.Servers, server)
	}
	for _, port := range config.Relays {
		status.Relays = append(status.Relays, RelayStatus{port, running(config.relayDir(), relayName(port))})
	}
	return status, nil
}

// Machine opens the n-th server of a state folder's rack, counted from 1.
func Machine(dir string, n int) (*machine.Machine, error) {
	config, err := read(dir)
	if err != nil {
		return nil, err
	}
	return machine.Open(config.machineDir(n))
}

func (c Config) inspectServer(n int) (ServerStatus, error) {
	_, at := planOf(c.Servers[n-1])
	status := ServerStatus{
		Name:       serverName(n),
		Switch:     at,
		Port:       portName(n),
		MAC:        macOf(n),
		Firmware:   c.Servers[n-1].Firmware,
		BMC:        bmcAddress(n),
		BMCRunning: running(c.bmcDir(n), bmcName(n)),
		BootDevice: machine.BootNone,
	}
	server, err := machine.Open(c.machineDir(n))
	if errors.Is(err, machine.ErrNoMachine) { // Up did not come so far
		return status, nil
	}
	if err != nil {
		return status, err
	}
	events, err := server.PowerEvents()
	if err != nil {
		return status, err
	}
	for _, event := range events {
		if event.Kind == machine.PowerOn {
			status.PowerOns++
		}
	}
	status.Powered = server.Powered()
	status.Console = server.ConsoleLog()
	status.BootDevice, err = server.BootDevice()
	return status, err
}

func running(dir, name string) bool {
	_, err := process.Find(dir, name)
	return err == nil
}
