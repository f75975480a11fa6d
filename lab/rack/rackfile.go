package rack

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
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
	Plan       declaredPlan
	Image      *Image // measured
	Switch     declaredSwitch
	Servers    []declaredServer
}

type declaredPlan struct {
	Name      string
	Threads   int
	MemoryMiB int
	DiskBytes int
}

type declaredSwitch struct {
	Name, Address, User, Password, HostKey string
}

type declaredServer struct {
	Name, Port, MAC, BMC, User, Password string
}

// writeRackFile writes the file that enrols the rack.
func (c Config) writeRackFile(hostKey string) error {
	values := declared{
		Site: SiteName, Rack: RackName,
		At:   Layout(),
		Plan: c.plan(),
		Switch: declaredSwitch{
			Name:     SwitchName,
			Address:  switchAddress().String(),
			User:     SwitchUser,
			Password: c.secretReference(SwitchName),
			HostKey:  hostKey,
		},
	}
	if c.Image != nil {
		image, err := c.Image.measured()
		if err != nil {
			return err
		}
		values.Image = &image
	}
	for n := range c.numbers() {
		values.Servers = append(values.Servers, declaredServer{
			Name:     serverName(n),
			Port:     portName(n),
			MAC:      macOf(n),
			BMC:      bmcAddress(n).String(),
			User:     BMCUser,
			Password: c.secretReference(bmcName(n)),
		})
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

// plan promises what every server of the rack has.
func (c Config) plan() declaredPlan {
	least := func(size func(Server) int) int {
		smallest := size(c.Servers[0])
		for _, server := range c.Servers {
			smallest = min(smallest, size(server))
		}
		return smallest
	}
	return declaredPlan{
		Name:      PlanName,
		Threads:   least(func(s Server) int { return s.CPUs }),
		MemoryMiB: least(func(s Server) int { return s.MemoryMiB }),
		DiskBytes: least(func(s Server) int { return s.DiskGiB }) << 30,
	}
}

// secretReference is what stands for a password where it is not to be seen.
func (c Config) secretReference(device string) string {
	return "file:" + c.secretFile(device)
}
