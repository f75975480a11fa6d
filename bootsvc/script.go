package bootsvc

import (
	"fmt"
	"net/netip"
	"strings"

	"ferrodur/bootsvc/job"
)

// The files of the boot folder.
const (
	kernelFile = "vmlinuz"
	agentFile  = "agent.img"
	burnInFile = "burnin.img" // the test tools, for burn-in only: they are large
)

// bootFileNames are the files served under /boot/.
func bootFileNames() []string { return []string{kernelFile, agentFile, burnInFile} }

// bootScript is the iPXE script that starts the agent for a target. It is the only place
// where the token is written to; the agent reads it from its kernel command line.
//
// initrd= names the images again for UEFI: there the kernel fetches them itself from iPXE
// by that name.
func bootScript(base string, t live) string {
	images := []string{agentFile}
	if t.Kind == job.BurnIn {
		images = append(images, burnInFile)
	}
	var script strings.Builder
	fmt.Fprintf(&script, "#!ipxe\necho Ferrodur: %s\n", t.Kind)
	fmt.Fprintf(&script, "kernel %s/boot/%s", base, kernelFile)
	for _, image := range images {
		fmt.Fprintf(&script, " initrd=%s", image)
	}
	for _, param := range [][2]string{
		{job.ParamURL, base},
		{job.ParamToken, t.token},
		{job.ParamMAC, t.MAC},
		{job.ParamAddress, t.Link.String()},
		{job.ParamGateway, t.Gateway().String()},
		{"console", "tty0"},
		{"console", "ttyS0,115200"}, // the last one is /dev/console
		{"panic", "10"},             // a kernel that dies boots again
	} {
		fmt.Fprintf(&script, " %s=%s", param[0], param[1])
	}
	// A fetch that fails reboots the machine after a pause, which tries it all again.
	script.WriteString(" || goto failed\n")
	for _, image := range images {
		fmt.Fprintf(&script, "initrd %s/boot/%s || goto failed\n", base, image)
	}
	script.WriteString("boot || goto failed\n:failed\necho Ferrodur: the boot service did not deliver. Trying again in 10 seconds.\nsleep 10 || goto failed\nreboot || goto failed\n")
	return script.String()
}

// refusalScript tells whoever looks at the console why nothing boots, and powers the
// machine off: one that is not active never boots a tenant's disk. A command that fails
// would end the script, and the firmware would go on to the disk; hence every ||.
func refusalScript(mac string, remote netip.Addr, why string) string {
	return fmt.Sprintf(`#!ipxe
echo Ferrodur: nothing to boot for %s at %s
echo %s
echo The machine powers off in 10 seconds.
sleep 10 || goto halt
poweroff || goto halt
:halt
sleep 3600 || goto halt
goto halt
`, mac, remote, why)
}
