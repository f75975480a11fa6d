package rack

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/template"
)

// RackFile is the name of the file in the state folder that `starter apply` enrols the
// rack with.
const RackFile = "rack.yaml"

//go:embed rack.yaml.tmpl
var rackFileText string

// declared is what the template of the rack file is filled with. Passwords are
// references.
type declared struct {
	Site, Rack string
	At         Addresses
	Plans      []declaredPlan
	Image      *Image // measured
	Networks   []Network
	Switches   []declaredSwitch
	Servers    []declaredServer
}

type declaredPlan struct {
	Name      string
	Threads   int
	MemoryMiB int
	DiskBytes int
}

type declaredSwitch struct {
	device
	User, Password, HostKey string
}

type declaredServer struct {
	Name, Plan, Switch, Port, MAC, BMC, User, Password string
	SecondSwitch, SecondPort, SecondMAC                string // empty: it has no second NIC
	Bond                                               int    // 0: it has none
}

// writeRackFile writes the file that enrols the rack. Host keys are in the order of its
// switches.
func (c Config) writeRackFile(hostKeys []string) error {
	values := declared{Site: SiteName, Rack: RackName, At: Layout(), Plans: c.plans()}
	for i, d := range c.devices() {
		values.Switches = append(values.Switches, declaredSwitch{
			device: d, User: SwitchUser, Password: c.secretReference(d.Name), HostKey: hostKeys[i],
		})
		values.Networks = append(values.Networks, d.Networks...)
	}
	if c.Image != nil {
		image, err := c.Image.measured()
		if err != nil {
			return err
		}
		values.Image = &image
	}
	for n, server := range c.numbers() {
		plan, at := planOf(server)
		declared := declaredServer{
			Name:     serverName(n),
			Plan:     plan,
			Switch:   at,
			Port:     portName(n),
			MAC:      macOf(n),
			BMC:      bmcAddress(n).String(),
			User:     BMCUser,
			Password: c.secretReference(bmcName(n)),
		}
		if server.DualHomed {
			_, declared.SecondSwitch = c.secondSwitchOf(server)
			declared.SecondPort, declared.SecondMAC = secondPortName(n), secondMACOf(n)
		}
		if server.DualHomed && server.Bridged {
			declared.Bond = n
		}
		values.Servers = append(values.Servers, declared)
	}
	rackFile, err := template.New(RackFile).Parse(rackFileText)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := rackFile.Execute(&text, values); err != nil {
		return err
	}
	path := filepath.Join(c.Dir, RackFile)
	if err := os.WriteFile(path+".new", text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(path+".new", path)
}

// planOf is a server's plan, and the switch that it is cabled to.
func planOf(server Server) (plan, at string) {
	if server.Bridged {
		return BridgedPlanName, BridgeName
	}
	return PlanName, SwitchName
}

// plans promise what every server of theirs has.
func (c Config) plans() (plans []declaredPlan) {
	for _, server := range c.Servers {
		name, _ := planOf(server)
		has := declaredPlan{Name: name, Threads: server.CPUs, MemoryMiB: server.MemoryMiB, DiskBytes: server.DiskGiB << 30}
		i := slices.IndexFunc(plans, func(p declaredPlan) bool { return p.Name == name })
		if i < 0 {
			plans = append(plans, has)
			continue
		}
		plan := &plans[i]
		plan.Threads, plan.MemoryMiB, plan.DiskBytes = min(plan.Threads, has.Threads), min(plan.MemoryMiB, has.MemoryMiB), min(plan.DiskBytes, has.DiskBytes)
	}
	return plans
}

// secretReference is what stands for a password where it is not to be seen.
func (c Config) secretReference(device string) string {
	return "file:" + c.secretFile(device)
}
