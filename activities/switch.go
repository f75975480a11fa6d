package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go.temporal.io/sdk/worker"
	"golang.org/x/crypto/ssh"

	"ferrodur/inventory"
	"ferrodur/ipam"
	"ferrodur/switches"
	"ferrodur/workflows/api"
)

// Switch serves the task queue switch@site.
type Switch struct {
	Inventory *inventory.Store
	Sessions  *switches.Sessions
}

// Register makes the activities known to a worker.
func (s *Switch) Register(r worker.ActivityRegistry) {
	register(r, api.ConfigurePort, s.ConfigurePort)
	register(r, api.ConfigurePorts, s.ConfigurePorts)
	register(r, api.AuditSwitch, s.AuditSwitch)
	register(r, api.ReadHostKey, s.ReadHostKey)
	register(r, api.ReadNeighbours, s.ReadNeighbours)
	register(r, api.ResolveHosts, s.ResolveHosts)
}

// ReadHostKey sees which key a switch offers. Nobody is logged in.
func (s *Switch) ReadHostKey(ctx context.Context, in api.SwitchRef) (api.HostKey, error) {
	declared, err := s.Inventory.Switch(ctx, in.Switch)
	if err != nil {
		return api.HostKey{}, fail(err)
	}
	key, err := s.Sessions.HostKey(ctx, declared.Address)
	if err != nil {
		return api.HostKey{}, fail(fmt.Errorf("switch %s (%s): %w", in.Switch, declared.Address, err))
	}
	return api.HostKey{
		Switch: in.Switch, Address: declared.Address, Key: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), Fingerprint: ssh.FingerprintSHA256(key),
		Trusted: declared.HostKey,
	}, nil
}

// ReadNeighbours asks a switch who it hears by LLDP on a server's port.
func (s *Switch) ReadNeighbours(ctx context.Context, in api.ReadNeighboursInput) (api.PortNeighbours, error) {
	return beating(ctx, func(ctx context.Context) (api.PortNeighbours, error) {
		server, err := s.Inventory.Server(ctx, in.Server)
		if err != nil {
			return api.PortNeighbours{}, fail(err)
		}
		session, err := s.open(ctx, server.Switch)
		if err != nil {
			return api.PortNeighbours{}, fail(err)
		}
		defer session.Close()
		heard, err := session.Neighbours(ctx)
		return api.PortNeighbours{Neighbours: heard[server.Port]}, fail(err)
	})
}

// ConfigurePort makes the port that a server is cabled to what its profile says, and
// reads it back.
func (s *Switch) ConfigurePort(ctx context.Context, in api.ConfigurePortInput) (api.PortChange, error) {
	return beating(ctx, func(ctx context.Context) (api.PortChange, error) {
		server, err := s.Inventory.Server(ctx, in.Server)
		if err != nil {
			return api.PortChange{}, fail(err)
		}
		results, err := s.configure(ctx, api.ConfigurePortsInput{Switch: server.Switch, Ports: []api.ConfigurePortInput{in}})
		if err != nil {
			return api.PortChange{}, fail(err)
		}
		return results[0].change(), fail(results[0].err)
	})
}

// ConfigurePorts makes ports of one switch what their profiles say, together, and reads
// them back. A port that cannot be had does not keep the others from being configured.
func (s *Switch) ConfigurePorts(ctx context.Context, in api.ConfigurePortsInput) ([]api.PortResult, error) {
	return beating(ctx, func(ctx context.Context) ([]api.PortResult, error) {
		outcomes, err := s.configure(ctx, in)
		if err != nil {
			return nil, fail(err)
		}
		results := make([]api.PortResult, len(outcomes))
		for i, o := range outcomes {
			results[i] = api.PortResult{Port: o.port, PortChange: o.change().Shortened(mostLines)}
			if o.err != nil {
				results[i].Error, results[i].ErrorType = o.err.Error(), errorType(o.err)
			}
		}
		return results, nil
	})
}

// outcome is what became of one port.
type outcome struct {
	port string
	switches.Change
	err error
}

func (o outcome) change() api.PortChange {
	return api.PortChange{Changed: o.Changed, Lines: o.Diff}
}

// configure carries out changes of ports. An error is everybody's.
func (s *Switch) configure(ctx context.Context, in api.ConfigurePortsInput) ([]outcome, error) {
	declared, err := s.Inventory.Switch(ctx, in.Switch)
	if err != nil {
		return nil, err
	}
	ports, outcomes := slices.Clone(in.Ports), make([]outcome, len(in.Ports))
	var (
		intents []switches.Intent
		places  []int
	)
	for i, port := range ports {
		uplink, err := s.uplink(ctx, in.Switch, port)
		var intent switches.Intent
		if err == nil && port.Again {
			port, err = s.askedAgain(ctx, in.Switch, uplink.Port)
		}
		if err == nil {
			intent, err = s.intent(ctx, declared, uplink.Port, port)
		}
		if err == nil && intent.BGP != nil {
			intent.BGP.Renew = ports[i].Renew
		}
		ports[i] = port
		if err != nil && !concernsPort(err) {
			return nil, err
		}
		outcomes[i] = outcome{port: uplink.Port, err: err}
		if err == nil {
			intents, places = append(intents, intent), append(places, i)
		}
	}
	if len(intents) == 0 {
		return outcomes, nil
	}
	session, err := s.open(ctx, in.Switch)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	carryOut := session.Apply
	if in.DryRun {
		carryOut = session.Diff
	} else if err := s.mayApply(ctx, in); err != nil {
		return nil, err
	}
	if len(in.Approved) > 0 && !in.DryRun {
		if intents, places, err = stillApproved(ctx, session, intents, places, in.Approved, outcomes); err != nil || len(intents) == 0 {
			return outcomes, err
		}
	}
	results, err := carryOut(ctx, intents...)
	if err != nil {
		return nil, err
	}
	var asked []inventory.AskedPort
	for n, result := range results {
		i := places[n]
		outcomes[i].Change, outcomes[i].err = result.Change, result.Err
		if result.Err == nil && !in.DryRun {
			text, err := json.Marshal(ports[i])
			if err != nil {
				return nil, err
			}
			asked = append(asked, inventory.AskedPort{
				Switch: in.Switch, Port: intents[n].Port, Server: ports[i].Server, Asked: text, Linked: result.Change.Linked,
			})
		}
	}
	return outcomes, s.Inventory.KeepAsked(ctx, asked)
}

// errHeld says that an operator wants no changes by now, or none that he has not seen.
var errHeld = errors.New("an operator holds changes of the switch back")

// mayApply looks once more, with a session that may have been waited for, whether changes are
// wanted: errHeld.
func (s *Switch) mayApply(ctx context.Context, in api.ConfigurePortsInput) error {
	kept, err := s.Inventory.SwitchMode(ctx, in.Switch)
	if err != nil {
		return err
	}
	mode := api.SwitchMode(kept.Mode)
	if mode == api.ModePaused || mode == api.ModeDryRun || mode == api.ModeApprove && len(in.Approved) == 0 {
		return fmt.Errorf("%w: %s is in mode %s", errHeld, in.Switch, mode)
	}
	return nil
}

// errOutdated says that a port has changed since an operator has approved of a change.
var errOutdated = errors.New("something else would be changed by now than what was approved")

// stillApproved are those of the intents that would change what an operator has let through, and
// their places. The outcome of the others says that they would not.
func stillApproved(ctx context.Context, session *switches.Session, intents []switches.Intent, places []int, approved []api.PortChange, outcomes []outcome) ([]switches.Intent, []int, error) {
	now, err := session.Diff(ctx, intents...)
	if err != nil {
		return nil, nil, err
	}
	var rest []switches.Intent
	var where []int
	for n, result := range now {
		i := places[n]
		would := outcome{port: intents[n].Port, Change: result.Change, err: result.Err}
		if would.err == nil && !slices.Equal(would.change().Shortened(mostLines).Lines, approved[i].Lines) {
			would.err = errOutdated
		}
		if would.err != nil {
			would.Changed, would.Diff = false, nil // for nothing was
			outcomes[i] = would
			continue
		}
		rest, where = append(rest, intents[n]), append(where, i)
	}
	return rest, where, nil
}

// askedAgain is what a port was last asked to be.
func (s *Switch) askedAgain(ctx context.Context, name, port string) (asked api.ConfigurePortInput, err error) {
	all, err := s.Inventory.AskedPorts(ctx, name)
	if err != nil {
		return asked, err
	}
	for _, a := range all {
		if a.Port == port {
			return asked, json.Unmarshal(a.Asked, &asked)
		}
	}
	return asked, fmt.Errorf("nothing was asked for port %s of switch %s yet: %w", port, name, switches.ErrUnknownPort)
}

// uplink is the server's cable that a change is for.
func (s *Switch) uplink(ctx context.Context, name string, in api.ConfigurePortInput) (inventory.Uplink, error) {
	server, err := s.Inventory.Server(ctx, in.Server)
	if err != nil {
		return inventory.Uplink{}, err
	}
	uplinks := server.Uplinks()
	if in.Uplink >= len(uplinks) || uplinks[in.Uplink].Switch != name {
		return inventory.Uplink{}, fmt.Errorf("uplink %d of server %s is not cabled to switch %s by now: order the change again: %w",
			in.Uplink+1, server.Name, name, switches.ErrUnknownPort)
	}
	return uplinks[in.Uplink], nil
}

// intent says in the words of switches what a port is to be: what was asked for, and what
// is declared for all ports of the switch.
func (s *Switch) intent(ctx context.Context, declared inventory.Switch, port string, in api.ConfigurePortInput) (intent switches.Intent, err error) {
	intent = switches.Intent{
		Port: port, Profile: switches.Profile(in.Profile), Description: strings.TrimSpace(in.Server + " " + in.Instance),
	}
	network := in.Network
	switch intent.Profile {
	case switches.Quarantine:
		return intent, nil
	case switches.Provisioning:
		network = declared.Provisioning.Network
	}
	intent.MTU = declared.MTU
	if in.Bond > 0 {
		intent.Bond = &switches.Bond{Group: in.Bond, MultiChassis: in.MultiChassis, Fallback: true}
	}
	if network != "" {
		intent.VLANs, err = s.vlans(ctx, network, in.Tagged)
		return intent, err
	}
	if in.Domain != ipam.DefaultDomain {
		intent.VRF = in.Domain
	}
	if in.BGP == nil {
		intent.Behind = in.Blocks
	} else if intent.BGP, err = session(*in.BGP, in.Blocks); err != nil {
		return intent, err
	}
	for _, link := range in.Links.List() {
		intent.Addresses = append(intent.Addresses, link.Switch)
	}
	intent.SourceFilter = !declared.AnySource
	if intent.Profile == switches.Provisioning {
		intent.Reach, intent.Relay = declared.Provisioning.Reach, declared.Provisioning.Relay
		// Firmware that boots over IPv6 waits for advertisements. A tenant gets none: both ends
		// of a /127 are configured by hand (RFC 6164 §5).
		intent.Advertise = in.Links.IPv6.Server.IsValid()
	}
	return intent, nil
}

// vlans are those of networks, of which the first one's frames are untagged.
func (s *Switch) vlans(ctx context.Context, untagged string, tagged []string) (*switches.VLANs, error) {
	network, err := s.Inventory.Network(ctx, untagged)
	vlans := &switches.VLANs{Untagged: network.VLAN}
	for _, name := range tagged {
		if err != nil {
			break
		}
		network, err = s.Inventory.Network(ctx, name)
		vlans.Tagged = append(vlans.Tagged, network.VLAN)
	}
	slices.Sort(vlans.Tagged)
	return vlans, err
}

// mostPrefixes is what a host may announce of each family before its session ends.
const mostPrefixes = 100

// errPassword says that a tenant's password is not there.
var errPassword = errors.New("password of the BGP session")

// concernsPort tells whether it is one port that cannot be had, and no other's concern.
func concernsPort(err error) bool {
	return is[inventory.NotFoundError](err) || errors.Is(err, switches.ErrUnknownPort) || errors.Is(err, errPassword)
}

// session is that of a host that announces its blocks itself; nil while it has none.
func session(order api.BGP, blocks []netip.Prefix) (*switches.BGP, error) {
	if len(blocks) == 0 {
		return nil, nil
	}
	bgp := &switches.BGP{ASN: order.ASN, Accept: blocks, MaxPrefixes: mostPrefixes}
	if order.Password != "" {
		password, err := inventory.SecretRef(order.Password).Resolve()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errPassword, err)
		}
		bgp.Password = switches.Secret(password)
	}
	return bgp, nil
}

// AuditSwitch compares all ports of a switch with what was asked for, in one session, and
// keeps what differs.
func (s *Switch) AuditSwitch(ctx context.Context, in api.AuditSwitchInput) (api.AuditReport, error) {
	return beating(ctx, func(ctx context.Context) (api.AuditReport, error) {
		report, err := s.audit(ctx, in.Switch)
		for i, drift := range report.Drift { // the inventory has it whole
			report.Drift[i] = drift.Shortened(mostLines)
		}
		return report, fail(err)
	})
}

func (s *Switch) audit(ctx context.Context, name string) (api.AuditReport, error) {
	report := api.AuditReport{Switch: name}
	declared, err := s.Inventory.Switch(ctx, name)
	if err != nil {
		return report, err
	}
	asked, err := s.Inventory.AskedPorts(ctx, name)
	if err != nil {
		return report, err
	}
	session, err := s.open(ctx, name)
	if err != nil {
		return report, err
	}
	defer session.Close()
	var intents []switches.Intent
	requests := map[string]api.ConfigurePortInput{}
	for _, port := range asked {
		var request api.ConfigurePortInput
		if err := json.Unmarshal(port.Asked, &request); err != nil {
			return report, fmt.Errorf("what was asked for port %s of switch %s: %w", port.Port, name, err)
		}
		requests[port.Port] = request
		intent, err := s.intent(ctx, declared, port.Port, request)
		switch {
		case err == nil:
			intents = append(intents, intent)
		case concernsPort(err):
			report.Drift = append(report.Drift, api.Drift{Port: port.Port, Server: request.Server, Problem: err.Error()})
		default:
			return report, err
		}
	}
	results, err := session.Diff(ctx, intents...)
	if err != nil {
		return report, err
	}
	report.Ports = len(asked)
	var linked []string
	foreign := 0
	for i, result := range results {
		if lines := result.Change.Foreign; len(lines) > 0 && foreign < mostForeign {
			if report.Foreign == nil {
				report.Foreign = map[string][]string{}
			}
			report.Foreign[intents[i].Port] = lines
			foreign += len(lines)
		}
		if result.Change.Linked {
			linked = append(linked, intents[i].Port)
		}
		request := requests[intents[i].Port]
		drift := api.Drift{Port: intents[i].Port, Server: request.Server, Lines: result.Change.Diff}
		switch {
		case result.Err != nil:
			drift.Problem = result.Err.Error()
		case !result.Change.Changed:
			continue
		case declared.Heal:
			drift.Heal = &request
		}
		report.Drift = append(report.Drift, drift)
	}
	return report, s.Inventory.KeepDrift(ctx, name, driftOf(report), linked)
}

// mostLines are told of a port's change, of which a transaction has many.
const mostLines = 60

// mostForeign lines are told of a switch, give or take a port: a report goes through a
// workflow's history.
const mostForeign = 500

func driftOf(report api.AuditReport) []inventory.Drift {
	var found []inventory.Drift
	for _, d := range report.Drift {
		found = append(found, inventory.Drift{Switch: report.Switch, Port: d.Port, Server: d.Server, Lines: d.Lines, Problem: d.Problem})
	}
	return found
}

func (s *Switch) open(ctx context.Context, name string) (*switches.Session, error) {
	device, err := s.device(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.Sessions.Open(ctx, device)
}

// device resolves the references to the switch's credentials; they go no further.
func (s *Switch) device(ctx context.Context, name string) (switches.Device, error) {
	declared, err := s.Inventory.Switch(ctx, name)
	if err != nil {
		return switches.Device{}, err
	}
	device := switches.Device{
		Name: name, Platform: declared.Platform, Address: declared.Address, ASN: declared.ASN,
		User: declared.User, HostKey: declared.HostKey, Ports: declared.Ports, Prefixes: declared.Prefixes, VLANs: declared.VLANs,
	}
	if declared.Password != "" {
		if device.Password, err = declared.Password.Resolve(); err != nil {
			return switches.Device{}, fmt.Errorf("password of switch %s: %w", name, err)
		}
	}
	if declared.PrivateKey != "" {
		key, err := declared.PrivateKey.Resolve()
		if err != nil {
			return switches.Device{}, fmt.Errorf("private key of switch %s: %w", name, err)
		}
		device.PrivateKey = []byte(key)
	}
	return device, nil
}
